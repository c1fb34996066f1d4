//! What the lanes of one loop share: buffers, pipes, and the account of what waits in memory.

use std::io;

use super::Outbox;
use super::pipe::PipePool;
use crate::channel::MAX_INSIDE;

pub(crate) struct Workshop {
    pub(crate) scratch: Box<[u8]>,
    /// Where frames begin in the scratch buffer, if they are to be sealed.
    pub(crate) starts: Vec<usize>,
    /// Records as they were read; empty until the first session with a channel.
    pub(crate) records: Vec<u8>,
    /// Records about to be sent.
    pub(crate) sealed: Vec<u8>,
    pub(crate) pipes: PipePool,
    /// The outbox of the session whose turn it is.
    pub(crate) outbox: Outbox,
    /// Bytes that all lanes of this loop hold in memory because their receivers are full.
    pub(crate) parked: usize,
}

/// The scratch buffer's size, in bytes. Smaller ones cost bulk throughput, larger ones the cache.
const SCRATCH: usize = 256 * 1024;

/// The most bytes of records that are read at once: four of TLS's longest.
pub(crate) const RECORDS: usize = 64 * 1024;

/// Above this many parked bytes in a loop, reads become small, so that each further stalled
/// receiver costs little.
const PARKED_BUDGET: usize = 32 * 1024 * 1024;

/// The size of a read when the budget is used up.
const FRUGAL_READ: usize = 4 * 1024;

// What a channel may give in one go fits behind a head that was held.
const _: () = assert!(SCRATCH >= RECORDS + MAX_INSIDE + super::MAX_HEAD);

impl Workshop {
    pub(crate) fn new() -> io::Result<Workshop> {
        let scratch = vec![0; SCRATCH].into_boxed_slice();
        Ok(Workshop {
            scratch,
            starts: Vec::new(),
            records: Vec::new(),
            sealed: Vec::new(),
            pipes: PipePool::new()?,
            outbox: Outbox::default(),
            parked: 0,
        })
    }

    pub(crate) fn read_size(&self) -> usize {
        if self.parked < PARKED_BUDGET {
            self.scratch.len()
        } else {
            FRUGAL_READ
        }
    }
}
