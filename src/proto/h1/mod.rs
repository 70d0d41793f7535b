//! HTTP/1.1, the client's side, sans I/O.
