//! What passes between load generator and daemon: the calls of the loads, as frames.
//!
//! Numbers and layouts that virt-proto has no need of are facts of libvirt's `remote_protocol.x`.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail, ensure};
use virt_proto::xdr::Writer;
use virt_proto::{
    Call, FrameHead, FrameLimit, Header, MessageType, Payload, Procedure, Program, RemoteError,
    Serial, Status,
};

use super::super::link::Exchange;

/// The cheapest call that a proxy hands on: the version of the hypervisor's library. A real
/// libvirtd takes the same time for all that look at nothing (type, version, URI).
pub(super) const GET_LIB_VERSION: Procedure = Procedure(157);

const STORAGE_POOL_CREATE_XML: Procedure = Procedure(76);
const STORAGE_VOL_LOOKUP_BY_PATH: Procedure = Procedure(97);
const STORAGE_VOL_DOWNLOAD: Procedure = Procedure(209);

/// The reply to [`GET_LIB_VERSION`] carries one number of 64 bits.
const LIB_VERSION: usize = 8;

/// The round trip that loads repeat. Any serial is legal, the same one again too.
pub(super) fn exchange() -> Exchange {
    Exchange {
        request: header(GET_LIB_VERSION).frame(&()),
        reply: FrameHead::SIZE + LIB_VERSION,
    }
}

fn header(procedure: Procedure) -> Header {
    Header::call(Program::REMOTE, procedure, Serial(0))
}

/// A frame without its head.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
}

/// Reads a whole frame.
pub(super) fn read_frame(stream: &mut impl Read) -> Result<Frame> {
    let mut head = [0; FrameHead::SIZE];
    stream.read_exact(&mut head).context("no answer came")?;
    let head = FrameHead::decode(&head)?;
    let len = FrameLimit::CURRENT.check(head.len)?;
    let mut payload = vec![0; len as usize - FrameHead::SIZE];
    stream
        .read_exact(&mut payload)
        .context("an answer was cut short")?;
    Ok(Frame {
        header: head.header,
        payload,
    })
}

/// Makes a call and gives what the good reply carries.
pub(super) fn call<C: Call>(stream: &mut (impl Read + Write), call: &C) -> Result<C::Reply> {
    let reply = call_raw(stream, C::header(Serial(0)), &call.encode())?;
    Ok(C::Reply::decode(&reply)?)
}

/// Proves that the cheapest call reaches a daemon.
pub(super) fn prove(stream: &mut (impl Read + Write)) -> Result<()> {
    let reply = call_raw(stream, header(GET_LIB_VERSION), &[])?;
    ensure!(
        reply.len() == LIB_VERSION,
        "the version of the library has {} bytes",
        reply.len()
    );
    Ok(())
}

fn call_raw(stream: &mut (impl Read + Write), header: Header, payload: &[u8]) -> Result<Vec<u8>> {
    stream
        .write_all(&header.frame_around(payload))
        .context("cannot send a call")?;
    let reply = read_frame(stream)?;
    let procedure = header.procedure;
    match (reply.header.message_type, reply.header.status) {
        (MessageType::REPLY, Status::OK) => Ok(reply.payload),
        (MessageType::REPLY, Status::ERROR) => {
            let error = RemoteError::decode(&reply.payload)?;
            bail!("procedure {procedure} was refused: {error}")
        }
        (other, status) => bail!("procedure {procedure}: {other}, {status} instead of a reply"),
    }
}

/// Makes a `dir` pool of a folder, which lasts as long as the daemon.
pub(super) fn create_pool(stream: &mut (impl Read + Write), xml: &str) -> Result<()> {
    let mut args = Writer::default();
    args.string(xml);
    args.u32(0);
    call_raw(stream, header(STORAGE_POOL_CREATE_XML), &args.into_bytes())?;
    Ok(())
}

/// The volume of a file in a pool, encoded as calls about it want it.
pub(super) fn find_volume(stream: &mut (impl Read + Write), file: &str) -> Result<Vec<u8>> {
    let mut args = Writer::default();
    args.string(file);
    call_raw(
        stream,
        header(STORAGE_VOL_LOOKUP_BY_PATH),
        &args.into_bytes(),
    )
}

/// Begins to download a whole volume: its bytes follow as frames of a stream.
pub(super) fn download(stream: &mut (impl Read + Write), volume: &[u8]) -> Result<()> {
    let mut args = Writer::default();
    args.fixed(volume);
    // From the start, to the end, no flags.
    args.u64(0);
    args.u64(0);
    args.u32(0);
    call_raw(stream, header(STORAGE_VOL_DOWNLOAD), &args.into_bytes())?;
    Ok(())
}

/// The client's word that it has seen the end of the download.
pub(super) fn download_done() -> Vec<u8> {
    Header {
        message_type: MessageType::STREAM,
        ..header(STORAGE_VOL_DOWNLOAD)
    }
    .frame(&())
}
