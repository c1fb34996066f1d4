//! Follows the frames of one direction through the bytes as they pass, without reassembling them.

use std::io;

use super::inspect::{Inspector, MAX_HEAD, Verdict};
use super::{End, Outbox, Side};

/// Where in the stream of frames one direction stands.
#[derive(Debug)]
pub(crate) struct Frames {
    position: Position,
    /// The start of a head that has not come whole, kept back from the receiver.
    held: Option<Box<[u8; MAX_HEAD]>>,
    held_len: u8,
    /// How many bytes of the head the inspector asked for.
    wanted: u8,
    /// How many bytes with a descriptor are still to come behind the frame.
    descriptors: u8,
    /// The frame is thrown away.
    swallowing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// At the head of a frame, as far as it is held.
    Head,
    /// Inside a frame, this many bytes before its end.
    Body(u64),
    /// Behind a frame, where bytes with descriptors are to come.
    Trailer,
    /// The inspector no longer looks.
    Opaque,
}

/// What is to be walked over.
pub(crate) struct Piece<'a> {
    pub(crate) side: Side,
    pub(crate) bytes: &'a [u8],
    /// A descriptor came with the last byte.
    pub(crate) described: bool,
    /// The receiver can take descriptors.
    pub(crate) passing: bool,
}

/// What passed in one go.
#[derive(Debug)]
pub(crate) struct Passed<R> {
    /// So many bytes from the start may go on to the receiver.
    pub(crate) len: usize,
    /// So many bytes from the start are dealt with. Those that may not go on are thrown away or held.
    pub(crate) used: usize,
    /// Heads on which the inspector decided to pass the frame.
    pub(crate) frames: u64,
    /// What comes next, once the receiver has been offered the bytes that may go on.
    pub(crate) then: Then<R>,
}

#[derive(Debug)]
pub(crate) enum Then<R> {
    /// Nothing: all bytes were walked over.
    Done,
    /// What the inspector sends to the receiver, and the rest of the bytes.
    Outbox,
    /// The rest of the bytes.
    Rest,
    /// The byte behind those that may go on, with its descriptor.
    Descriptor,
    /// The rest of the bytes, but only when the inspector is willing again.
    Pause,
    /// The rest of the bytes, but only when the outbox has room.
    Full,
    /// The end of the session.
    End(End<R>),
}

impl Frames {
    pub(crate) fn new() -> Frames {
        Frames {
            position: Position::Head,
            held: None,
            held_len: 0,
            wanted: 0,
            descriptors: 0,
            swallowing: false,
        }
    }

    /// Puts the bytes that were held at the start of `buffer`, to be continued with new ones.
    pub(crate) fn restore(&mut self, buffer: &mut [u8]) -> usize {
        let Some(held) = self.held.take() else {
            return 0;
        };
        let len = usize::from(self.held_len);
        buffer[..len].copy_from_slice(&held[..len]);
        len
    }

    /// Keeps the start of a head until the rest has come. This is rare, and most sessions are idle
    /// most of the time, so that they have no place for it.
    pub(crate) fn hold(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let held = self.held.get_or_insert_with(Box::default);
        held[..bytes.len()].copy_from_slice(bytes);
        self.held_len = u8::try_from(bytes.len()).unwrap_or(0);
    }

    /// How many bytes may pass without being seen: they belong to the body of a frame, or nobody
    /// looks.
    pub(crate) fn unseen(&self) -> u64 {
        match self.position {
            Position::Body(left) if !self.swallowing => left,
            Position::Head | Position::Body(_) | Position::Trailer => 0,
            Position::Opaque => u64::MAX,
        }
    }

    /// Notes that `count` bytes passed unseen, at most [`Frames::unseen`].
    pub(crate) fn skip(&mut self, count: u64) {
        if let Position::Body(left) = self.position {
            self.position = self.after(left.saturating_sub(count));
        }
    }

    /// Whether the receiver has whole frames and nothing of another.
    pub(crate) fn at_boundary(&self) -> bool {
        self.position == Position::Head || self.swallowing && self.position != Position::Opaque
    }

    /// Nothing is known of where frames begin and end.
    pub(crate) fn is_opaque(&self) -> bool {
        self.position == Position::Opaque
    }

    /// Nothing more is looked at.
    pub(crate) fn let_go(&mut self) {
        self.position = Position::Opaque;
    }

    fn after(&self, left: u64) -> Position {
        match left {
            0 if self.descriptors > 0 => Position::Trailer,
            0 => Position::Head,
            _ => Position::Body(left),
        }
    }

    /// Walks over the bytes, which begin where the last call stopped. `begins` is told where each
    /// frame begins that may go on.
    pub(crate) fn pass<I: Inspector>(
        &mut self,
        inspector: &mut I,
        out: &mut Outbox,
        piece: &Piece<'_>,
        mut begins: impl FnMut(usize),
    ) -> Passed<I::Refusal> {
        let bytes = piece.bytes;
        let mut at = 0;
        let mut frames = 0;
        let (used, then) = loop {
            let rest = &bytes[at..];
            match self.position {
                Position::Opaque => {
                    at = bytes.len();
                    break (at, Then::Done);
                }
                Position::Body(left) => {
                    let here = left.min(rest.len() as u64);
                    self.position = self.after(left - here);
                    // `here` is no more than the length of a slice.
                    let here = usize::try_from(here).unwrap_or(rest.len());
                    if self.swallowing && here > 0 {
                        break (at + here, Then::Rest);
                    }
                    at += here;
                    if at == bytes.len() && self.position != Position::Head {
                        break (at, Then::Done);
                    }
                }
                Position::Trailer => break self.pass_trailer(piece, at),
                Position::Head if rest.len() < usize::from(self.wanted) => {
                    self.hold(rest);
                    break (bytes.len(), Then::Done);
                }
                Position::Head if out.is_blocking() => break (at, Then::Full),
                Position::Head => {
                    if let Some(then) = self.judge(inspector, out, piece, rest, &mut frames) {
                        break (at, then);
                    }
                    if self.position != Position::Head {
                        if !out.waiting(piece.side.other()).is_empty() {
                            break (at, Then::Outbox);
                        }
                        if !self.swallowing && !self.is_opaque() {
                            begins(at);
                        }
                    }
                }
            }
        };
        Passed {
            len: at,
            used,
            frames,
            then,
        }
    }

    /// Shows the inspector the head at the start of `rest`. None means that the walk goes on.
    fn judge<I: Inspector>(
        &mut self,
        inspector: &mut I,
        out: &mut Outbox,
        piece: &Piece<'_>,
        rest: &[u8],
        frames: &mut u64,
    ) -> Option<Then<I::Refusal>> {
        let side = piece.side;
        let head = &rest[..rest.len().min(MAX_HEAD)];
        let (len, descriptors, swallowing) = match inspector.inspect(side, head, out) {
            Verdict::Pass(len) => (len, 0, false),
            Verdict::PassWith { descriptors, .. } if descriptors > 0 && !piece.passing => {
                let bug = io::Error::other("no descriptors can be passed to it");
                return Some(Then::End(End::Failed(side.other(), bug)));
            }
            Verdict::PassWith { len, descriptors } => (len, descriptors, false),
            Verdict::Swallow { len, descriptors } => (len, descriptors, true),
            Verdict::Want(count) if count > head.len() && count <= MAX_HEAD => {
                // At most MAX_HEAD, which is far below 256.
                self.wanted = u8::try_from(count).unwrap_or(u8::MAX);
                return head.is_empty().then_some(Then::Done);
            }
            Verdict::Want(_) => {
                // It would never decide. Nothing passes that was not judged.
                let bug = io::Error::other("the inspector asks for an impossible head");
                return Some(Then::End(End::Failed(side, bug)));
            }
            Verdict::Pause => {
                self.wanted = 0;
                return Some(Then::Pause);
            }
            Verdict::PassAll => {
                self.position = Position::Opaque;
                return None;
            }
            Verdict::End(refusal) => return Some(Then::End(End::Refused(side, refusal))),
        };
        *frames += 1;
        self.wanted = 0;
        self.descriptors = descriptors;
        self.swallowing = swallowing;
        self.position = Position::Body(len.max(1));
        None
    }

    /// Walks over one byte that must carry a descriptor.
    fn pass_trailer<R>(&mut self, piece: &Piece<'_>, at: usize) -> (usize, Then<R>) {
        match piece.bytes.len() - at {
            0 => (at, Then::Done),
            1 if piece.described => {
                self.descriptors = self.descriptors.saturating_sub(1);
                self.position = self.after(0);
                let then = if self.swallowing {
                    Then::Rest
                } else {
                    Then::Descriptor
                };
                (at + 1, then)
            }
            _ => {
                let missing = "a byte that must carry a descriptor carries none";
                let missing = io::Error::new(io::ErrorKind::InvalidData, missing);
                (at, Then::End(End::Failed(piece.side, missing)))
            }
        }
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

        fn inspect(
            &mut self,
            _side: Side,
            head: &[u8],
            _out: &mut Outbox,
        ) -> Verdict<&'static str> {
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
            let piece = Piece {
                side: Side::Client,
                bytes: &buffer[..start + piece],
                described: false,
                passing: false,
            };
            let passed = frames.pass(&mut ByteFrames, &mut Outbox::default(), &piece, |_| {});
            out.extend_from_slice(&buffer[..passed.len]);
            count += passed.frames;
            match passed.then {
                Then::End(End::Refused(Side::Client, refusal)) => {
                    return (out, count, Some(refusal));
                }
                Then::Done => {}
                other => panic!("{other:?}"),
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
