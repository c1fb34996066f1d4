//! A layer between two ends of a pipe, however narrow it is.

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;
use crate::channel::testing::XorChannel;

fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[2])
        .collect()
}

#[tokio::test]
async fn what_is_written_at_one_end_is_read_at_the_other() {
    for room in [1, 7, 4096, 1 << 20] {
        let (one, other) = duplex(room);
        let mut one = Layered::new(one, XorChannel::default());
        let mut other = Layered::new(other, XorChannel::default());
        let sent = pattern(if room == 1 { 5000 } else { 300_000 });
        let write = async {
            one.write_all(&sent).await.unwrap();
            one.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let (_, read) = tokio::join!(write, other.read_to_end(&mut received));
        read.unwrap();
        assert!(received == sent);
    }
}

#[tokio::test]
async fn what_was_opened_and_not_read_comes_out_of_the_channel_first() {
    let (one, other) = duplex(1 << 20);
    let mut one = Layered::new(one, XorChannel::default());
    let mut other = Layered::new(other, XorChannel::default());
    one.write_all(b"first words").await.unwrap();
    one.flush().await.unwrap();
    let mut first = [0; 5];
    other.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"first");
    let (mut stream, mut channel) = other.into_parts().unwrap();
    one.write_all(b" and others").await.unwrap();
    one.flush().await.unwrap();
    let mut room = vec![0; MAX_INSIDE + 100];
    let opened = channel.open(&[], &mut room).unwrap();
    assert_eq!(&room[..opened.len], b" words");
    let mut sealed = [0; 100];
    let count = stream.read(&mut sealed).await.unwrap();
    let opened = channel.open(&sealed[..count], &mut room).unwrap();
    assert_eq!(&room[..opened.len], b" and others");
}

#[tokio::test]
async fn a_layer_with_unsent_words_cannot_be_taken_apart() {
    let (one, _other) = duplex(4);
    let mut one = Layered::new(one, XorChannel::default());
    one.write_all(b"too long").await.unwrap();
    assert!(one.into_parts().is_err());
}

#[tokio::test]
async fn bytes_that_were_not_sealed_are_an_error() {
    let (mut one, other) = duplex(100);
    let mut other = Layered::new(other, XorChannel::default());
    one.write_all(&[255; 8]).await.unwrap();
    let error = other.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}
