//! Models of the lock-free core, explored by loom: see `tests/`, run by `ci/loom.sh`.
