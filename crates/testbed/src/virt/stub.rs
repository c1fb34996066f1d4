//! A daemon that plays a part: of an old libvirt, or of one that does not behave, which no package
//! has. What real daemons do is tested with those.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use anyhow::{Context, Result};
use virt_proto::{AuthType, AuthTypes, ErrorDomain, ErrorNumber, Payload, Procedure, RemoteError};

use super::wire::{VirtFrame, VirtWire};
use crate::eventually::PATIENCE;

/// It serves one client after the other for as long as the test runs.
#[derive(Debug)]
pub struct VirtStub {
    calls: Receiver<VirtFrame>,
}

impl VirtStub {
    /// Listens on `socket`, whose folder must be there. `part` is what it does with a call; where
    /// that is `false`, it ends the connection.
    ///
    /// # Errors
    /// When it cannot.
    pub fn start<P>(socket: &Path, mut part: P) -> Result<VirtStub>
    where
        P: FnMut(&mut VirtWire, &VirtFrame) -> Result<bool> + Send + 'static,
    {
        let listener = UnixListener::bind(socket)
            .with_context(|| format!("cannot listen on {}", socket.display()))?;
        let (sender, calls) = channel();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that leaves ends its part.
                let _ = play(client, &mut part, &sender);
            }
        });
        Ok(VirtStub { calls })
    }

    /// The next call that came, answered by now.
    ///
    /// # Errors
    /// When none comes within [`PATIENCE`].
    pub fn next_call(&self) -> Result<VirtFrame> {
        let call = self.calls.recv_timeout(PATIENCE);
        call.context("the daemon was not called")
    }

    /// Answers a call with `payload`.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn reply(wire: &mut VirtWire, call: &VirtFrame, payload: &impl Payload) -> Result<bool> {
        wire.send(&call.header.reply().frame(payload))?;
        Ok(true)
    }

    /// Refuses a call, in words of its own.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn refuse(wire: &mut VirtWire, call: &VirtFrame, number: ErrorNumber) -> Result<bool> {
        let error = RemoteError::new(number, ErrorDomain::REMOTE, "not by this daemon");
        wire.send(&call.header.refusal().frame(&error))?;
        Ok(true)
    }

    /// Does whatever it is told, for everyone.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn obey(wire: &mut VirtWire, call: &VirtFrame) -> Result<bool> {
        match call.header.procedure {
            Procedure::AUTH_LIST => VirtStub::reply(wire, call, &AuthTypes(vec![AuthType::NONE])),
            _ => VirtStub::reply(wire, call, &()),
        }
    }
}

fn play(
    client: UnixStream,
    mut part: impl FnMut(&mut VirtWire, &VirtFrame) -> Result<bool>,
    calls: &Sender<VirtFrame>,
) -> Result<()> {
    let mut wire = VirtWire::new(client)?;
    loop {
        let call = wire.receive()?;
        let goes_on = part(&mut wire, &call)?;
        if calls.send(call).is_err() || !goes_on {
            return Ok(());
        }
    }
}
