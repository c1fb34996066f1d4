//! What is done after a time of silence.

use super::*;

/// A busy machine may keep a test from answering for a second or two.
fn beating() -> Scripted {
    Scripted {
        interval: Some(Duration::from_millis(20)),
        patience: 30,
        ..Scripted::default()
    }
}

#[test]
fn a_client_that_answers_its_pings_lives_and_one_that_falls_silent_does_not() {
    let rig = Rig::new();
    let ((mut client, inner_client), (server, inner_server)) = (connected(), connected());
    rig.adopt(1, inner_client.into(), inner_server.into(), beating());
    for _ in 0..5 {
        expect(&client, &ping());
        client.write_all(&frame(SWALLOW, 0, b"pong")).unwrap();
    }
    let end = rig.end();
    assert!(
        matches!(&end, End::Refused(Side::Client, why) if why == "it is dead"),
        "{end:?}"
    );
    expect_end(&server);
}

#[test]
fn pings_never_come_inside_a_frame_and_do_not_pile_up() {
    let rig = Rig::new();
    let ((mut client, inner_client), (mut server, inner_server)) = (connected(), connected());
    let inspector = beating();
    let heard = Arc::clone(&inspector.heard);
    rig.adopt(1, inner_client.into(), inner_server.into(), inspector);
    let reply = frame(PASS, 0, &pattern(50_000));
    expect(&client, &ping());
    server.write_all(&reply[..30_000]).unwrap();
    // Pings that came before the frame are none of its.
    let mut start = [0; 10];
    loop {
        client.read_exact(&mut start).unwrap();
        client.write_all(&frame(SWALLOW, 0, b"pong")).unwrap();
        if start != ping()[..] {
            break;
        }
    }
    let begun = heard.lock().unwrap().len();
    while heard.lock().unwrap().len() < begun + 3 {
        client.write_all(&frame(SWALLOW, 0, b"pong")).unwrap();
        thread::yield_now();
    }
    server.write_all(&reply[30_000..]).unwrap();
    expect(&client, &reply[10..]);
    expect(&client, &[ping(), ping(), ping()].concat());
}
