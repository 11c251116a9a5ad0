"""Model servers: inbound requests, engines, cold starts. Nothing is imported here, so that a client pays for none of it."""
