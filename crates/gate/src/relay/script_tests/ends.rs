//! How sessions end that have more to do than to pass bytes.

use super::*;

#[test]
fn the_end_of_the_client_is_the_end_of_the_session() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.tcp();
    client.write_all(&frame(PASS, 0, b"bye")).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    expect(&server, &frame(PASS, 0, b"bye"));
    expect_end(&server);
    expect_end(&client);
    assert!(matches!(rig.end(), End::Closed(Side::Client)));
    let _ = server.write(b"late");
}

#[test]
fn the_end_of_a_client_that_its_server_does_not_read_is_an_end_at_once() {
    let rig = Rig::new();
    // On TCP the end would come behind what does not fit into the sockets.
    let (client, server) = rig.unix();
    client.set_nonblocking(true).unwrap();
    let block = frame(PASS, 0, &pattern(1_000_000));
    let mut sent = 0;
    while let Ok(count) = (&client).write(&block[sent % block.len()..]) {
        sent += count;
    }
    drop(client);
    rig.end();
    drop(server);
}

#[test]
fn after_the_end_of_the_server_the_client_gets_what_is_left() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.tcp();
    let reply = frame(PASS, 0, &pattern(3_000_000));
    let write = thread::spawn(move || {
        server.write_all(&reply).unwrap();
        reply
    });
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    assert!(got == write.join().unwrap());
    // Nobody is there to read it, and it does no harm.
    client.write_all(&frame(PASS, 0, b"unread")).unwrap();
    drop(client);
    let end = rig.end();
    assert!(
        matches!(
            end,
            End::Closed(Side::Server) | End::Failed(Side::Server, _)
        ),
        "{end:?}"
    );
}

#[test]
fn sessions_that_are_dismissed_end_and_others_stay() {
    let rig = Rig::new();
    let sessions: Vec<_> = (0..4)
        .map(|tag| {
            let ((client, inner_client), (server, inner_server)) = (connected(), connected());
            rig.adopt(
                tag,
                inner_client.into(),
                inner_server.into(),
                Scripted::default(),
            );
            (client, server)
        })
        .collect();
    rig.relay.dismiss(|_, tag| tag % 2 == 1);
    let mut gone = Vec::new();
    for _ in 0..2 {
        let (tag, summary) = rig.ends.recv_timeout(DEADLINE).unwrap();
        assert!(matches!(summary.end, End::Dismissed), "{summary:?}");
        gone.push(tag);
    }
    gone.sort_unstable();
    assert_eq!(gone, [1, 3]);
    for (tag, (client, server)) in sessions.iter().enumerate() {
        let mut sender = client;
        if tag % 2 == 1 {
            expect_end(client);
            expect_end(server);
        } else {
            sender.write_all(&frame(PASS, 0, b"alive")).unwrap();
            expect(server, &frame(PASS, 0, b"alive"));
        }
    }
}
