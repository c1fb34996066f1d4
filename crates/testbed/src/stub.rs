//! A TCP server whose behaviour is a closure: a pmcd that is slow, silent, rude or gone.

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use socket2::SockRef;

use crate::eventually::{PATIENCE, eventually};
use crate::wire::Wire;

/// A server on loopback that runs a script for each connection, in a thread of its own. Dropping it
/// ends all connections and waits for their scripts.
#[derive(Debug)]
pub struct Stub {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// Tells the scripts of a [`Stub`] that it stops.
#[derive(Debug, Default)]
pub struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Shared {
    stop: Stop,
    accepted: AtomicUsize,
    open: AtomicUsize,
    visits: Mutex<Vec<Visit>>,
    failures: Mutex<Vec<String>>,
}

/// A script that runs. The stream is held weakly: a script that drops its wire closes it.
#[derive(Debug)]
struct Visit {
    stream: Weak<TcpStream>,
    script: JoinHandle<()>,
}

impl Stub {
    /// A pmcd that sends back what it receives after its greeting, until the client closes its
    /// direction.
    ///
    /// # Errors
    /// As for [`Stub::start`].
    pub fn echo() -> Result<Stub> {
        Stub::start(|mut wire, _| {
            wire.greet_as_pmcd()?;
            let mut stream: &TcpStream = wire.stream();
            std::io::copy(&mut &*stream, &mut stream)?;
            Ok(())
        })
    }

    /// Serves each connection to a free port of 127.0.0.1 with `script`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start<S>(script: S) -> Result<Stub>
    where
        S: Fn(Wire, &Stop) -> Result<()> + Send + Sync + 'static,
    {
        Stub::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), script)
    }

    /// The same on an address; port 0 is any free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start_on<S>(address: SocketAddr, script: S) -> Result<Stub>
    where
        S: Fn(Wire, &Stop) -> Result<()> + Send + Sync + 'static,
    {
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot bind {address}"))?;
        let listener = Arc::new(listener);
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (shared_too, script) = (Arc::clone(&shared), Arc::new(script));
        let listener_too = Arc::clone(&listener);
        let acceptor = std::thread::spawn(move || accept_all(&listener_too, &shared_too, &script));
        Ok(Stub {
            address,
            listener,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections have come since the start.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many scripts run now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Waits until `count` scripts run.
    ///
    /// # Errors
    /// When it stays another number; the error says which.
    pub fn await_open(&self, count: usize) -> Result<()> {
        if eventually(PATIENCE, "", || self.open() == count).is_err() {
            bail!(
                "{} connections are open to the stub, not {count}",
                self.open()
            );
        }
        Ok(())
    }

    /// Ends all connections and waits for their scripts.
    ///
    /// # Errors
    /// What a script failed with before; a failure that comes from the end itself does not count.
    pub fn stop(mut self) -> Result<()> {
        let failures = std::mem::take(&mut *lock(&self.shared.failures));
        self.shut_down();
        if failures.is_empty() {
            Ok(())
        } else {
            bail!("the stub failed: {}", failures.join("; "))
        }
    }

    fn shut_down(&mut self) {
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        self.shared.stop.set();
        // Wakes the acceptor, also where the stub is in a network that this thread cannot reach. It
        // fails only if the socket listens no more, and then the acceptor has ended.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        let _ = acceptor.join();
        let visits = std::mem::take(&mut *lock(&self.shared.visits));
        for visit in visits {
            if let Some(stream) = visit.stream.upgrade() {
                // Fails when the peer has ended the connection already.
                let _ = stream.shutdown(Shutdown::Both);
            }
            // A script that panicked has printed its message.
            let _ = visit.script.join();
        }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Stop {
    /// Waits until the stub stops: for a peer that holds its connection and does nothing with it.
    pub fn wait(&self) {
        let stopped = lock(&self.stopped);
        drop(self.changed.wait_while(stopped, |stopped| !*stopped));
    }

    /// Waits for `pause`, or until the stub stops; says whether it goes on.
    pub fn pause(&self, pause: Duration) -> bool {
        let stopped = lock(&self.stopped);
        match self
            .changed
            .wait_timeout_while(stopped, pause, |stopped| !*stopped)
        {
            Ok((stopped, _)) => !*stopped,
            Err(_) => false,
        }
    }

    fn set(&self) {
        *lock(&self.stopped) = true;
        self.changed.notify_all();
    }

    fn is_set(&self) -> bool {
        *lock(&self.stopped)
    }
}

fn accept_all<S>(listener: &TcpListener, shared: &Arc<Shared>, script: &Arc<S>)
where
    S: Fn(Wire, &Stop) -> Result<()> + Send + Sync + 'static,
{
    for stream in listener.incoming() {
        if shared.stop.is_set() {
            return;
        }
        // One that was reset before it was accepted is no visit.
        let Ok(wire) = stream.map_err(anyhow::Error::from).and_then(Wire::new) else {
            continue;
        };
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        shared.open.fetch_add(1, Ordering::SeqCst);
        let stream = Arc::downgrade(wire.stream());
        let (shared_too, script) = (Arc::clone(shared), Arc::clone(script));
        let script = std::thread::spawn(move || serve(wire, &shared_too, &*script));
        lock(&shared.visits).push(Visit { stream, script });
    }
}

fn serve<S>(wire: Wire, shared: &Shared, script: &S)
where
    S: Fn(Wire, &Stop) -> Result<()>,
{
    /// Counts down also when the script panics.
    struct Open<'a>(&'a AtomicUsize);
    impl Drop for Open<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let _open = Open(&shared.open);
    if let Err(error) = script(wire, &shared.stop) {
        lock(&shared.failures).push(format!("{error:#}"));
    }
}

/// A script that panicked leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Ending;
    use pcp_proto::{ErrorPdu, Pdu, Status};

    #[test]
    fn a_script_answers_what_it_receives() {
        let stub = Stub::start(|mut wire, _| {
            wire.greet_as_pmcd()?;
            let asked = wire.receive(4)?;
            wire.send_slowly(&asked.repeat(2), 3, Duration::from_millis(1))
        })
        .unwrap();
        let mut wire = Wire::connect(stub.port()).unwrap();
        let greeting = ErrorPdu::decode(&wire.receive_pdu().unwrap()).unwrap();
        assert_eq!(greeting.status(), Status::OK);
        wire.send(b"gate").unwrap();
        assert_eq!(
            wire.receive_to_end().unwrap(),
            (b"gategate".to_vec(), Ending::Closed)
        );
        stub.await_open(0).unwrap();
        assert_eq!(stub.accepted(), 1);
        stub.stop().unwrap();
    }

    #[test]
    fn a_reset_arrives_as_a_reset() {
        let stub = Stub::start(|mut wire, _| {
            wire.receive(1)?;
            wire.reset()
        })
        .unwrap();
        let mut wire = Wire::connect(stub.port()).unwrap();
        wire.send(b"!").unwrap();
        assert_eq!(wire.receive_to_end().unwrap(), (vec![], Ending::Reset));
    }

    #[test]
    fn late_replies_pass_a_half_closed_connection() {
        let stub = Stub::start(|mut wire, _| {
            let (asked, ending) = wire.receive_to_end()?;
            anyhow::ensure!(ending == Ending::Closed, "the client reset the connection");
            wire.send(&asked)
        })
        .unwrap();
        let mut wire = Wire::connect(stub.port()).unwrap();
        wire.send(b"late").unwrap();
        wire.finish_sending().unwrap();
        assert_eq!(wire.receive_to_end().unwrap().0, b"late");
        stub.await_open(0).unwrap();
        stub.stop().unwrap();
    }

    #[test]
    fn a_script_that_reads_never_ends_with_the_stub() {
        let stub = Stub::start(|_wire, stop| {
            stop.wait();
            Ok(())
        })
        .unwrap();
        let mut wire = Wire::connect(stub.port()).unwrap();
        wire.send(b"nobody reads this").unwrap();
        stub.await_open(1).unwrap();
        drop(stub);
        assert!(wire.receive_to_end().unwrap().0.is_empty());
    }

    #[test]
    fn a_script_that_waits_for_bytes_ends_with_the_stub() {
        let stub = Stub::start(|mut wire, _| wire.receive(1).map(drop)).unwrap();
        let _wire = Wire::connect(stub.port()).unwrap();
        stub.await_open(1).unwrap();
        stub.stop().unwrap();
    }

    #[test]
    fn the_failure_of_a_script_is_told() {
        let stub = Stub::start(|_, _| bail!("out of cheese")).unwrap();
        let mut wire = Wire::connect(stub.port()).unwrap();
        wire.receive_to_end().unwrap();
        stub.await_open(0).unwrap();
        let error = stub.stop().unwrap_err().to_string();
        assert!(error.contains("out of cheese"), "{error}");
    }
}
