//! Gives the shared library its name, lest programs that are linked with it look for it at the path
//! where it was built.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libpcp_pmda_root.so");
    println!("cargo:rerun-if-changed=build.rs");
}
