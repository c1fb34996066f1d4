//! `libpcp_pmda_root.so`: the functions of `pmdaRootConnect(3)` for programs in C, made of
//! [`pmda_root`]. [`ffi`] is the boundary, and `calls` is what is behind it.

mod calls;
pub mod ffi;
mod kept;
