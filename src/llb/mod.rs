//! LLB: an immutable graph builder and its deterministic bytes.
