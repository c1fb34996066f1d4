//! The head of a frame of libvirt's RPC, its length and its number of descriptors.

#![no_main]

use libfuzzer_sys::fuzz_target;
use virt_proto::xdr::Writer;
use virt_proto::{FrameHead, FrameLimit};

fuzz_target!(|bytes: &[u8]| {
    let Ok(head) = FrameHead::decode(bytes) else {
        assert!(bytes.len() < FrameHead::SIZE);
        return;
    };
    let mut writer = Writer::default();
    head.encode_to(&mut writer);
    assert_eq!(writer.into_bytes(), bytes[..FrameHead::SIZE]);
    if let Ok(fds) = head.fds(bytes) {
        assert!(fds <= FrameHead::FDS_MAX);
    }
    if let Ok(len) = FrameLimit::CURRENT.check(head.len) {
        assert!(len as usize >= FrameHead::SIZE);
    }
});
