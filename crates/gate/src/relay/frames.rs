//! Follows the frames of one direction through the bytes as they pass, without reassembling them.

use std::io;

use super::inspect::{Inspector, MAX_HEAD, Verdict};
use super::{End, Side};

/// Where in the stream of frames one direction stands.
#[derive(Debug)]
pub(crate) struct Frames {
    position: Position,
    /// The start of a head that has not come whole, kept back from the receiver.
    held: [u8; MAX_HEAD],
    held_len: u8,
    /// How many bytes of the head the inspector asked for.
    wanted: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// At the head of a frame, as far as it is held.
    Head,
    /// Inside a frame, this many bytes before its end.
    Body(u64),
    /// The inspector no longer looks.
    Opaque,
}

/// What passed in one go.
#[derive(Debug)]
pub(crate) struct Passed<R> {
    /// So many bytes from the start may go on to the receiver; the rest is held.
    pub(crate) len: usize,
    /// Heads on which the inspector decided to pass the frame.
    pub(crate) frames: u64,
    /// Why the session must end, once the receiver has been offered the bytes before.
    pub(crate) end: Option<End<R>>,
}

impl Frames {
    pub(crate) fn new() -> Frames {
        Frames {
            position: Position::Head,
            held: [0; MAX_HEAD],
            held_len: 0,
            wanted: 0,
        }
    }

    /// Puts the bytes that were held at the start of `buffer`, to be continued with new ones.
    pub(crate) fn restore(&mut self, buffer: &mut [u8]) -> usize {
        let len = usize::from(self.held_len);
        buffer[..len].copy_from_slice(&self.held[..len]);
        self.held_len = 0;
        len
    }

    /// How many bytes may pass without being seen: they belong to the body of a frame, or nobody
    /// looks.
    pub(crate) fn unseen(&self) -> u64 {
        match self.position {
            Position::Head => 0,
            Position::Body(left) => left,
            Position::Opaque => u64::MAX,
        }
    }

    /// Notes that `count` bytes passed unseen, at most [`Frames::unseen`].
    pub(crate) fn skip(&mut self, count: u64) {
        if let Position::Body(left) = self.position {
            self.position = after(left.saturating_sub(count));
        }
    }

    /// Walks over `bytes`, which begin where the last call stopped. `begins` is told where each frame
    /// begins that may go on.
    pub(crate) fn pass<I: Inspector>(
        &mut self,
        inspector: &mut I,
        side: Side,
        bytes: &[u8],
        mut begins: impl FnMut(usize),
    ) -> Passed<I::Refusal> {
        let mut at = 0;
        let mut frames = 0;
        loop {
            let rest = &bytes[at..];
            match self.position {
                Position::Opaque => {
                    return Passed {
                        len: bytes.len(),
                        frames,
                        end: None,
                    };
                }
                Position::Body(left) => {
                    let here = left.min(rest.len() as u64);
                    self.position = after(left - here);
                    // `here` is no more than the length of a slice.
                    at += usize::try_from(here).unwrap_or(rest.len());
                    if at == bytes.len() && self.position != Position::Head {
                        return Passed {
                            len: at,
                            frames,
                            end: None,
                        };
                    }
                }
                Position::Head if rest.len() < usize::from(self.wanted) => {
                    self.hold(rest);
                    return Passed {
                        len: at,
                        frames,
                        end: None,
                    };
                }
                Position::Head => {
                    let head = &rest[..rest.len().min(MAX_HEAD)];
                    match inspector.inspect(side, head) {
                        Verdict::Want(count) if count > head.len() && count <= MAX_HEAD => {
                            // At most MAX_HEAD, which is far below 256.
                            self.wanted = u8::try_from(count).unwrap_or(u8::MAX);
                            if head.is_empty() {
                                return Passed {
                                    len: at,
                                    frames,
                                    end: None,
                                };
                            }
                        }
                        Verdict::Want(_) => {
                            // It would never decide. Nothing passes that was not judged.
                            let bug = io::Error::other("the inspector asks for an impossible head");
                            return Passed {
                                len: at,
                                frames,
                                end: Some(End::Failed(side, bug)),
                            };
                        }
                        Verdict::PassAll => self.position = Position::Opaque,
                        Verdict::Pass(len) => {
                            begins(at);
                            frames += 1;
                            self.wanted = 0;
                            self.position = Position::Body(len.max(1));
                        }
                        Verdict::End(refusal) => {
                            let end = Some(End::Refused(side, refusal));
                            return Passed {
                                len: at,
                                frames,
                                end,
                            };
                        }
                    }
                }
            }
        }
    }

    /// Keeps the start of a head until the rest has come.
    pub(crate) fn hold(&mut self, bytes: &[u8]) {
        self.held[..bytes.len()].copy_from_slice(bytes);
        self.held_len = u8::try_from(bytes.len()).unwrap_or(0);
    }
}

fn after(left: u64) -> Position {
    if left == 0 {
        Position::Head
    } else {
        Position::Body(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Frames of a length in their first byte; a zero ends the session, 255 ends the looking.
    struct ByteFrames;

    impl Inspector for ByteFrames {
        type Refusal = &'static str;
        type Tally = ();

        fn inspect(&mut self, _side: Side, head: &[u8]) -> Verdict<&'static str> {
            match head {
                [] => Verdict::Want(2),
                [_] => Verdict::Want(2),
                [0, ..] => Verdict::End("a frame of no bytes"),
                [255, ..] => Verdict::PassAll,
                [len, ..] => Verdict::Pass(u64::from(*len)),
            }
        }
    }

    /// Feeds `stream` in pieces, as the engine does, and gives what came out and how it ended.
    fn feed(stream: &[u8], cuts: &[usize]) -> (Vec<u8>, u64, Option<&'static str>) {
        let mut frames = Frames::new();
        let (mut out, mut count, mut rest) = (Vec::new(), 0, stream);
        let mut cuts = cuts.iter().cycle();
        let mut buffer = [0; 512];
        while !rest.is_empty() {
            let start = frames.restore(&mut buffer);
            let piece = (*cuts.next().unwrap_or(&1)).min(rest.len());
            buffer[start..start + piece].copy_from_slice(&rest[..piece]);
            rest = &rest[piece..];
            let passed = frames.pass(
                &mut ByteFrames,
                Side::Client,
                &buffer[..start + piece],
                |_| {},
            );
            out.extend_from_slice(&buffer[..passed.len]);
            count += passed.frames;
            match passed.end {
                Some(End::Refused(Side::Client, refusal)) => return (out, count, Some(refusal)),
                Some(other) => panic!("{other:?}"),
                None => {}
            }
        }
        (out, count, None)
    }

    #[test]
    fn a_bad_frame_ends_the_session_and_none_of_it_passes() {
        let (out, count, refusal) = feed(&[3, 1, 1, 2, 1, 0, 9, 9], &[3]);
        assert_eq!(
            (out, count, refusal),
            (vec![3, 1, 1, 2, 1], 2, Some("a frame of no bytes"))
        );
    }

    #[test]
    fn part_of_a_head_is_held_back() {
        let (out, _, refusal) = feed(&[3, 1, 1, 200], &[4]);
        assert_eq!((out, refusal), (vec![3, 1, 1], None));
    }

    #[test]
    fn nothing_is_looked_at_after_the_inspector_has_let_go() {
        let stream = [4, 1, 1, 1, 255, 0, 0, 0, 0, 0];
        let (out, count, refusal) = feed(&stream, &[1]);
        assert_eq!((&out[..], count, refusal), (&stream[..], 1, None));
    }

    proptest! {
        #[test]
        fn whole_frames_pass_unchanged_however_they_are_cut(
            lens in prop::collection::vec(2u8..255, 1..20),
            cuts in prop::collection::vec(1usize..200, 1..20),
        ) {
            let stream: Vec<u8> = lens
                .iter()
                .flat_map(|&len| std::iter::once(len).chain((1..len).map(move |byte| byte ^ len)))
                .collect();
            let (out, count, refusal) = feed(&stream, &cuts);
            prop_assert_eq!(out, stream);
            prop_assert_eq!(count, lens.len() as u64);
            prop_assert_eq!(refusal, None);
        }
    }
}
