//! Any mix of frames, cut anyhow.

use super::*;

use super::descriptors::{expect_frame, numbered, send_with};

/// A frame of a mix: what to do, the size of its body, and its descriptors.
type Part = (u8, usize, u8);

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let what = prop::sample::select(vec![PASS, SWALLOW, ANSWER, ANNOUNCE]);
    let size = prop_oneof![Just(0usize), 1usize..100, 1000usize..100_000];
    prop::collection::vec((what, size, 0u8..4), 1..12)
}

/// Sends the frames in pieces, and their descriptors. Gives how many answers there will be.
fn send_parts(socket: &UnixStream, parts: &[Part], cuts: &[usize]) {
    let mut cuts = cuts.iter().cycle();
    let mut writer = socket;
    for (number, (what, size, descriptors)) in (0u32..).zip(parts) {
        let bytes = frame(*what, *descriptors, &pattern(*size));
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, more) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            writer.write_all(piece).unwrap();
            rest = more;
        }
        for each in 0..u32::from(*descriptors) {
            send_with(socket, &[0], &[&numbered(number * 10 + each)]);
        }
    }
}

fn expect_parts(socket: &UnixStream, parts: &[Part]) {
    for (number, (what, size, descriptors)) in (0u32..).zip(parts) {
        if *what == ANNOUNCE {
            expect(socket, &notice());
        }
        if *what == PASS || *what == ANNOUNCE {
            let numbers: Vec<u32> = (0..u32::from(*descriptors))
                .map(|each| number * 10 + each)
                .collect();
            expect_frame(socket, *what, &pattern(*size), &numbers);
        }
    }
}

fn answers(parts: &[Part]) -> usize {
    parts.iter().filter(|(what, ..)| *what == ANSWER).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_mix_of_frames_arrives_unchanged_with_its_descriptors(
        parts in parts(),
        cuts in prop::collection::vec(1usize..70_000, 1..8),
        upwards in any::<bool>(),
    ) {
        let rig = Rig::new();
        let (client, server) = rig.unix();
        let (from, to) = if upwards { (client, server) } else { (server, client) };
        thread::scope(|scope| {
            scope.spawn(|| send_parts(&from, &parts, &cuts));
            expect_parts(&to, &parts);
        });
        expect(&from, &answer().repeat(answers(&parts)));
    }
}
