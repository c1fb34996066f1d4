//! Binds calls inside the library to its own functions when it is linked. The dynamic linker would
//! look each of them up in every program.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-Bsymbolic-functions");
}
