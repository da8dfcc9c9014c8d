"""The file store; its parts are used through `session_store.stores`."""
