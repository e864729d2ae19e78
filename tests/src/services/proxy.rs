//! Proxies between a client and a server that break things: for TCP, and for HTTP.
