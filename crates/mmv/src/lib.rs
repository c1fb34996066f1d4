//! Metrics for a pmcd on the same machine, in a file that its PMDA for memory-mapped values reads.
//!
//! A program lays out all that it will ever tell as a [`Catalogue`], makes an [`MmvFile`] of it in
//! the folder that the PMDA watches, and writes new values into that file as often as it likes:
//! pmcd's clients see them without asking the program. The file has a fixed size, is complete when
//! it appears, and goes when the [`MmvFile`] is dropped; one that a dead process left is ignored by
//! the PMDA and replaced by the next.
//!
//! The layout is that of `mmv(5)`, version 2, which PCP reads since 3.11.4. It is in the byte order
//! of the machine. Nothing is mapped here: values are written as to any file, so that no code needs
//! to be unsafe.

#![forbid(unsafe_code)]

mod catalogue;
mod file;
mod layout;

pub use catalogue::{Catalogue, CatalogueError, InstanceDomain, Metric};
pub use file::{CreateError, MmvFile};
