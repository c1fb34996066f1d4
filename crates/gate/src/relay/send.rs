//! How a lane writes: what the receiver does not take at once is parked, and the inspector's own
//! frames find their places.

use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, send, shutdown};

use super::descriptors::send_described;
use super::lane::{Lane, Turn, Way};
use super::pipe::Pipe;
use super::workshop::Workshop;
use super::{End, Side};

/// Bytes that were read and that the receiver has not taken yet.
#[derive(Debug)]
pub(super) enum Parked {
    Nothing,
    Bytes(Box<ParkedBytes>),
    Piped(Box<Pipe>),
}

#[derive(Debug)]
pub(super) struct ParkedBytes {
    bytes: Vec<u8>,
    sent: usize,
    /// Goes with the last of them.
    descriptor: Option<OwnedFd>,
}

impl Lane {
    /// Sends bytes of the scratch buffer, sealed if the receiver has a channel; what it does not take
    /// waits.
    ///
    /// A record has bytes of one frame only: a peer that waits on its socket between frames, as libpcp
    /// does, would not see a second one that it has already taken out of the socket with the first.
    pub(super) fn send_or_park<R>(
        &mut self,
        way: &mut Way<'_>,
        workshop: &mut Workshop,
        range: Range<usize>,
    ) -> Result<(), End<R>> {
        let bytes = workshop.scratch.get(range).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(());
        }
        let Some(channel) = &mut way.to.channel else {
            return self.send_plain(way, bytes, &mut workshop.parked);
        };
        workshop.sealed.clear();
        let mut sealed = 0;
        for end in workshop.starts.iter().copied().chain([bytes.len()]) {
            let frame = bytes.get(sealed..end).unwrap_or_default();
            channel
                .seal(frame, &mut workshop.sealed)
                .map_err(|error| End::Failed(way.side.other(), error))?;
            sealed = end;
        }
        self.passed += bytes.len() as u64;
        self.send_sealed(way, workshop)
    }

    /// Sends bytes as they are, behind those that wait.
    fn send_plain<R>(
        &mut self,
        way: &Way<'_>,
        bytes: &[u8],
        total: &mut usize,
    ) -> Result<(), End<R>> {
        let sent = match self.parked {
            Parked::Nothing => send_now(way, bytes)?,
            _ => 0,
        };
        self.passed += sent as u64;
        self.park(&bytes[sent..], total);
        Ok(())
    }

    /// Sends the records that were made last, behind those that wait.
    fn send_sealed<R>(&mut self, way: &Way<'_>, workshop: &mut Workshop) -> Result<(), End<R>> {
        let sent = match self.parked {
            Parked::Nothing => send_now(way, &workshop.sealed)?,
            _ => 0,
        };
        self.park(&workshop.sealed[sent..], &mut workshop.parked);
        Ok(())
    }

    /// Keeps bytes, behind those that wait, until the receiver takes them.
    fn park(&mut self, rest: &[u8], total: &mut usize) {
        if rest.is_empty() {
            return;
        }
        *total += rest.len();
        match &mut self.parked {
            Parked::Bytes(parked) => parked.bytes.extend_from_slice(rest),
            // Nothing is spliced to a receiver for whom anything else could be parked.
            Parked::Nothing | Parked::Piped(_) => {
                self.parked = Parked::Bytes(Box::new(ParkedBytes {
                    bytes: rest.to_vec(),
                    sent: 0,
                    descriptor: None,
                }));
            }
        }
    }

    /// Sends one byte with its descriptor, behind those that wait. It is the last of what was read, so
    /// that nothing is parked behind it.
    pub(super) fn send_described<R>(
        &mut self,
        way: &Way<'_>,
        workshop: &mut Workshop,
        byte: u8,
        descriptor: Option<OwnedFd>,
    ) -> Result<(), End<R>> {
        if let (Parked::Nothing, Some(descriptor)) = (&self.parked, &descriptor)
            && offer_described(way, byte, descriptor)?
        {
            self.passed += 1;
            return Ok(());
        }
        self.park(&[byte], &mut workshop.parked);
        if let Parked::Bytes(parked) = &mut self.parked {
            parked.descriptor = descriptor;
        }
        Ok(())
    }

    /// Sends what the inspector has for the receiver, if nothing is under way to it. False when
    /// something is parked afterwards.
    pub(crate) fn deliver<R>(
        &mut self,
        way: &mut Way<'_>,
        workshop: &mut Workshop,
    ) -> Result<bool, End<R>> {
        let to = way.side.other();
        if workshop.outbox.waiting(to).is_empty() {
            return Ok(true);
        }
        if self.finished || self.discarding || self.frames.is_opaque() {
            workshop.outbox.clear(to);
        } else if matches!(self.parked, Parked::Nothing) && self.frames.at_boundary() {
            self.send_outbox(way, workshop)?;
            return Ok(matches!(self.parked, Parked::Nothing));
        }
        Ok(true)
    }

    /// Sends what the inspector has for the receiver here and now, behind what waits.
    pub(super) fn send_outbox<R>(
        &mut self,
        way: &mut Way<'_>,
        workshop: &mut Workshop,
    ) -> Result<(), End<R>> {
        let to = way.side.other();
        if let Some(channel) = &mut way.to.channel {
            workshop.sealed.clear();
            for frame in workshop.outbox.frames(to) {
                channel
                    .seal(frame, &mut workshop.sealed)
                    .map_err(|error| End::Failed(to, error))?;
            }
            self.passed += workshop.outbox.waiting(to).len() as u64;
            self.send_sealed(way, workshop)?;
        } else {
            let frames = workshop.outbox.waiting(to);
            self.send_plain(way, frames, &mut workshop.parked)?;
        }
        workshop.outbox.clear(to);
        Ok(())
    }

    /// Sends what the receiver's channel itself has to say. A channel bounds it: it answers no flood.
    pub(crate) fn answer<R>(
        &mut self,
        way: &mut Way<'_>,
        workshop: &mut Workshop,
    ) -> Result<(), End<R>> {
        let Some(channel) = &mut way.to.channel else {
            return Ok(());
        };
        workshop.sealed.clear();
        channel
            .take_answer(&mut workshop.sealed)
            .map_err(|error| End::Failed(way.side.other(), error))?;
        if self.discarding || self.finished {
            return Ok(());
        }
        self.send_sealed(way, workshop)
    }

    /// The stream ended inside a head: the receiver may see that for itself. False when nothing was
    /// held.
    pub(super) fn send_held<R>(
        &mut self,
        way: &mut Way<'_>,
        workshop: &mut Workshop,
    ) -> Result<bool, End<R>> {
        let held = self.frames.restore(&mut workshop.scratch);
        if held == 0 || self.discarding {
            return Ok(false);
        }
        // Nothing has a place behind it.
        self.frames.let_go();
        workshop.starts.clear();
        self.send_or_park(way, workshop, 0..held)?;
        Ok(true)
    }

    pub(super) fn owes_goodbye(&self, way: &Way<'_>) -> bool {
        !way.to.is_plain() && !self.closing && !self.cut_off && !self.discarding
    }

    /// Tells the receiver's channel that nothing more comes.
    pub(super) fn say_goodbye<R>(
        &mut self,
        way: &mut Way<'_>,
        workshop: &mut Workshop,
    ) -> Result<(), End<R>> {
        self.closing = true;
        if let Some(channel) = &mut way.to.channel {
            workshop.sealed.clear();
            channel
                .close(&mut workshop.sealed)
                .map_err(|error| End::Failed(way.side.other(), error))?;
            self.send_sealed(way, workshop)?;
        }
        Ok(())
    }

    /// Sends what is parked; true when nothing is left. What a receiver that fails did not take is
    /// given up.
    pub(super) fn flush<R>(
        &mut self,
        way: &Way<'_>,
        workshop: &mut Workshop,
    ) -> Result<bool, End<R>> {
        let mut parked = std::mem::replace(&mut self.parked, Parked::Nothing);
        let flushed = match &mut parked {
            Parked::Nothing => return Ok(true),
            Parked::Bytes(bytes) => self.send_parked(way, bytes),
            Parked::Piped(pipe) => self.drain(way, pipe),
        };
        self.parked = parked;
        if !matches!(flushed, Ok(false)) {
            self.release_parked(workshop);
        }
        flushed
    }

    /// Sends bytes that were parked, and the descriptor of the last; true when nothing is left.
    fn send_parked<R>(&mut self, way: &Way<'_>, parked: &mut ParkedBytes) -> Result<bool, End<R>> {
        let ParkedBytes {
            bytes,
            sent,
            descriptor,
        } = parked;
        let undescribed = bytes.len() - usize::from(descriptor.is_some());
        let before = *sent;
        *sent += send_now(way, bytes.get(before..undescribed).unwrap_or_default())?;
        if *sent == undescribed
            && let (Some(carried), Some(byte)) = (&descriptor, bytes.last())
            && offer_described(way, *byte, carried)?
        {
            *descriptor = None;
            *sent += 1;
        }
        if way.to.is_plain() {
            self.passed += (*sent - before) as u64;
        }
        Ok(*sent == bytes.len())
    }

    /// Sends what is in the pipe; true when nothing is left.
    fn drain<R>(&mut self, way: &Way<'_>, pipe: &mut Pipe) -> Result<bool, End<R>> {
        while pipe.filled > 0 {
            match pipe.drain(&way.to.socket) {
                Ok(count) => self.passed += count as u64,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(End::Failed(way.side.other(), error.into())),
            }
        }
        Ok(true)
    }

    /// Gives up what the receiver has not taken.
    pub(super) fn release_parked(&mut self, workshop: &mut Workshop) {
        match std::mem::replace(&mut self.parked, Parked::Nothing) {
            Parked::Nothing => {}
            Parked::Bytes(parked) => workshop.parked -= parked.bytes.len(),
            Parked::Piped(pipe) => workshop.pipes.give_back(pipe),
        }
    }

    /// Tells the receiver that nothing more will come.
    pub(crate) fn finish(&mut self, way: &Way<'_>) -> Turn {
        if !self.finished {
            self.dry = true;
            self.finished = true;
            // It fails only when the receiver has gone already, which its own lane notices.
            let _ = shutdown(&way.to.socket, Shutdown::Write);
        }
        Turn::Finished
    }
}

/// Sends as much as the receiver takes at once.
fn send_now<R>(way: &Way<'_>, bytes: &[u8]) -> Result<usize, End<R>> {
    let mut sent = 0;
    while sent < bytes.len() {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match send(&way.to.socket, &bytes[sent..], flags) {
            Ok(count) => sent += count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(error) => return Err(receiver_failed(way.side, error)),
        }
    }
    Ok(sent)
}

/// Sends a byte with its descriptor; false when the receiver does not take it now.
fn offer_described<R>(way: &Way<'_>, byte: u8, descriptor: &OwnedFd) -> Result<bool, End<R>> {
    match send_described(&way.to.socket, byte, descriptor) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN) => Ok(false),
        Err(error) => Err(receiver_failed(way.side, error)),
    }
}

fn receiver_failed<R>(side: Side, error: Errno) -> End<R> {
    End::Failed(side.other(), io::Error::from(error))
}
