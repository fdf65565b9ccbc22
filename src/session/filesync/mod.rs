//! A directory → ordered stats and file contents, as fsutil demands.
