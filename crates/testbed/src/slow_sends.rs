//! A library to be preloaded into a program that sends fast.

use std::path::PathBuf;

use anyhow::Result;

use crate::compile::compile;
use crate::scratch::Scratch;

/// Rests for 10 ms after each call.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t send(int fd, const void *bytes, size_t count, int flags)
{
    ssize_t (*next)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");
    ssize_t sent = next(fd, bytes, count, flags);
    usleep(10000);
    return sent;
}
"#;

/// A shared object with a send(2) that takes its time, so that what is sent one after the other arrives
/// one after the other.
#[derive(Debug)]
pub struct SlowSends {
    scratch: Scratch,
}

impl SlowSends {
    /// Compiles it.
    ///
    /// # Errors
    /// When a Debian package is missing.
    pub fn make() -> Result<SlowSends> {
        let scratch = compile("slow_sends.so", SOURCE, &["-shared", "-fPIC"])?;
        Ok(SlowSends { scratch })
    }

    /// Where it is, as long as this is there.
    pub fn path(&self) -> PathBuf {
        self.scratch.join("slow_sends.so")
    }
}
