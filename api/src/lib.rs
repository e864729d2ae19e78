//! HTTP, server-sent events, the web page.
