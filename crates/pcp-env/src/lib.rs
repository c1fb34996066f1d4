//! pcp-env
