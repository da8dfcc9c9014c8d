"""What a store is tested with; shipped, so that other stores can be tested the same way."""
