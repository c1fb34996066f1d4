//! Programs that do not ask how their connection went before they use it, or do not use it at all.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use testbed::{Client, Conduct, Firewall, PATIENCE, eventually};

use crate::fixture::{Bed, MODES, WAYS, Way};

/// What each script begins with: a connection that was waited for, or not.
const BEGINNING: &str = "\
import errno, os, select, socket, threading, time

def begin():
    it = socket.socket()
    it.setblocking(False)
    assert it.connect_ex(('10.2.0.2', 7)) == errno.EINPROGRESS
    return it

def connected():
    it = begin()
    select.select([], [it], [])
    it.setblocking(True)
    return it
";

/// A program in Python.
fn script(bed: &Bed, way: Way, text: &str) -> Client {
    let file = bed.write("script.py", format!("{BEGINNING}{text}"));
    bed.through(way, &["/usr/bin/python3"]).args([file])
}

fn shown(bed: &Bed, way: Way, text: &str) -> String {
    script(bed, way, text).run().unwrap().succeeded().unwrap()
}

#[test]
fn what_is_written_at_once_arrives_and_comes_back() {
    let bed = Bed::new();
    let _stub = bed.stub(Conduct::default());
    let text = "
it, sent, back = connected(), os.urandom(1 << 20), b''
def write():
    it.sendall(sent)
    it.shutdown(socket.SHUT_WR)
threading.Thread(target=write).start()
while more := it.recv(1 << 16):
    back += more
print(back == sent)
";
    for way in MODES {
        assert_eq!(shown(&bed, way, text), "True\n", "{way:?}");
    }
}

#[test]
fn who_waits_only_for_input_hears_the_target() {
    let bed = Bed::new();
    let _stub = bed.stub(Conduct {
        hurries: Some(b"early".to_vec()),
        ..Conduct::default()
    });
    let text = "
it = begin()
select.select([it], [], [])
print(it.recv(5), it.getpeername())
";
    for way in MODES {
        let wanted = "b'early' ('10.2.0.2', 7)\n";
        assert_eq!(shown(&bed, way, text), wanted, "{way:?}");
    }
}

#[test]
fn a_thread_that_waits_for_input_already_hears_the_target() {
    let bed = Bed::new();
    let _stub = bed.stub(Conduct::default());
    let text = "
it = begin()
def read():
    ready = select.poll()
    ready.register(it, select.POLLIN)
    print(ready.poll() == [(it.fileno(), select.POLLIN)], it.recv(5))
reader = threading.Thread(target=read)
reader.start()
select.select([], [it], [])
assert it.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
it.send(b'hello')
reader.join()
";
    for way in MODES {
        assert_eq!(shown(&bed, way, text), "True b'hello'\n", "{way:?}");
    }
}

#[test]
fn the_last_words_of_a_program_arrive() {
    let bed = Bed::new();
    let _stub = bed.stub(Conduct {
        relays: true,
        ..Conduct::default()
    });
    let heard = Arc::new(Mutex::new(0));
    let notes = Arc::clone(&heard);
    let target = move |mut wire: testbed::Wire, _: &testbed::Stop| {
        let mut end = [0; 4];
        wire.receive(100_000)?;
        end.copy_from_slice(&wire.receive(4)?);
        assert_eq!(&end, b"last");
        *notes.lock().unwrap() += 1;
        Ok(())
    };
    let _target = bed
        .wall
        .outside()
        .stub(Firewall::OUTSIDE, 7, target)
        .unwrap();
    let text = "
connected().sendall(b'.' * 100_000 + b'last')
os._exit(0)
";
    for (before, way) in MODES.into_iter().enumerate() {
        shown(&bed, way, text);
        let arrived = || *heard.lock().unwrap() > before;
        eventually(PATIENCE, format!("the last words, {way:?}"), arrived).unwrap();
    }
}

#[test]
fn a_failure_is_not_lost_to_other_questions() {
    let bed = Bed::new();
    let _stub = bed.stub(Conduct {
        code: Some(5),
        ..Conduct::default()
    });
    let text = "
it = begin()
select.select([], [it], [])
try:
    it.getpeername()
except OSError as error:
    print(errno.errorcode[error.errno])
it.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
it.getsockname()
print(errno.errorcode[it.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)])
print(it.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
print(it.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
";
    for way in MODES {
        let wanted = "ENOTCONN\nECONNREFUSED\n0\n1\n";
        assert_eq!(shown(&bed, way, text), wanted, "{way:?}");
    }
}

#[test]
fn who_has_used_a_connection_may_ask_about_it_all_the_same() {
    let bed = Bed::new();
    let _stub = bed.stub(Conduct::default());
    let text = "
it = connected()
it.send(b'one')
# Linux may say once that it has worked.
it.connect_ex(('10.2.0.2', 7))
print(it.recv(3), errno.errorcode[it.connect_ex(('10.2.0.2', 7))])
it.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print(it.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), it.getsockname()[0], it.getpeername())
it.send(b'two')
print(it.recv(3))
";
    for way in MODES {
        let wanted = format!(
            "b'one' EISCONN\n1 {} ('10.2.0.2', 7)\nb'two'\n",
            Firewall::INSIDE
        );
        assert_eq!(shown(&bed, way, text), wanted, "{way:?}");
    }
}

#[test]
fn what_is_set_while_it_is_connected_is_kept() {
    let bed = Bed::new();
    let _stub = bed.stub(Conduct::default());
    let text = "
it = begin()
it.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
select.select([], [it], [])
assert it.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
print(it.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), it.getsockname()[0])
";
    for way in MODES {
        let wanted = format!("1 {}\n", Firewall::INSIDE);
        assert_eq!(shown(&bed, way, text), wanted, "{way:?}");
    }
}

#[test]
fn a_call_that_blocks_meanwhile_waits_for_the_connection() {
    let bed = Bed::new();
    let _stub = bed.stub(Conduct {
        late: Some(Duration::from_millis(100)),
        ..Conduct::default()
    });
    let text = "
it = begin()
it.setblocking(True)
it.send(b'hello')
print(it.recv(5))
";
    for way in MODES {
        assert_eq!(shown(&bed, way, text), "b'hello'\n", "{way:?}");
    }
}

#[test]
fn nothing_is_left_of_many_connections() {
    let bed = Bed::new();
    let _stub = bed.stub(Conduct::default());
    let text = "
def held():
    return len(os.listdir(f'/proc/{os.getppid()}/fd'))
before = held()
for turn in range(1000):
    it = begin()
    if turn % 3:
        select.select([], [it], [])
    if turn % 3 == 1:
        assert it.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    it.close()
end = time.monotonic() + 20
while held() > before and time.monotonic() < end:
    time.sleep(0.01)
print(held() - before)
";
    for way in &WAYS[2..] {
        let many = script(&bed, *way, text).within(Duration::from_secs(90));
        let left = many.run().unwrap().succeeded().unwrap();
        assert_eq!(left, "0\n", "{way:?}");
    }
}
