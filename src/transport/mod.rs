//! Where a daemon listens and how its bytes come and go.
