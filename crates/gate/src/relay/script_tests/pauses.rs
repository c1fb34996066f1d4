//! A side that waits for the other.

use super::*;

#[test]
fn a_side_that_waits_goes_on_when_the_other_has_sent_a_frame() {
    let requests: Vec<Vec<u8>> = (0..20u8).map(|n| frame(TURNWISE, 0, &[n; 9])).collect();
    for size in [1, 8, 1000] {
        let rig = Rig::new();
        let (mut client, mut server) = rig.tcp();
        for piece in requests.concat().chunks(size) {
            client.write_all(piece).unwrap();
        }
        server.set_nonblocking(true).unwrap();
        assert!(server.read(&mut [0; 9]).is_err());
        server.set_nonblocking(false).unwrap();
        for request in &requests {
            server.write_all(&frame(PASS, 0, b"go")).unwrap();
            expect(&client, &frame(PASS, 0, b"go"));
            expect(&server, request);
        }
    }
}

#[test]
fn a_client_that_waits_is_not_read() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.tcp();
    client
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    client.write_all(&frame(TURNWISE, 0, b"")).unwrap();
    let block = frame(PASS, 0, &pattern(100_000));
    let mut accepted = 0;
    while accepted < 256 << 20 {
        match client.write(&block[accepted % block.len()..]) {
            Ok(count) => accepted += count,
            Err(_) => break,
        }
    }
    assert!(accepted < 64 << 20, "{accepted} bytes were taken");
    server.write_all(&frame(PASS, 0, b"go")).unwrap();
    expect(&server, &frame(TURNWISE, 0, b""));
    for _ in 0..accepted / block.len() {
        expect(&server, &block);
    }
}

#[test]
fn a_client_that_dies_while_it_waits_frees_its_server() {
    let rig = Rig::new();
    let (mut client, server) = rig.tcp();
    client.write_all(&frame(TURNWISE, 0, b"")).unwrap();
    client.write_all(&pattern(100_000)).unwrap();
    drop(client);
    expect_end(&server);
    assert!(matches!(rig.end(), End::Closed(Side::Client)));
}

// Ends.
