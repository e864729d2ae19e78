//! Domain and ports: ids, image states, findings, messages, failures, retry policy. No I/O, no vendor.
