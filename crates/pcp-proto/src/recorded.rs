//! What PCP 6.0's pmcd and its pmdaroot have said to each other over the pipes between them: every
//! kind of PDU that an agent gets or sends is read, and written again with the same bytes.

use crate::{
    Creds, DescReq, Descriptor, ErrorPdu, Features, Fetch, FetchResult, InstanceList, InstanceReq,
    LabelReq, Labels, Pdu, PduHeader, PmId, Profile, Status, Text, TextReq,
};

fn bytes(digits: &str) -> Vec<u8> {
    let digits: Vec<char> = digits
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

/// Reads what was recorded and makes sure that it would be sent with the same bytes.
#[track_caller]
fn read<P: Pdu>(digits: &str) -> P {
    let recorded = bytes(digits);
    let from = PduHeader::decode(&recorded).unwrap().from;
    let value = P::decode(&recorded).unwrap();
    assert_eq!(value.encode(from), recorded);
    value
}

#[test]
fn both_begin_with_their_version() {
    for recorded in [
        "00000014 0000700c 00003606 00000001 01020000",
        "00000014 0000700c 0000360b 00000001 01020000",
    ] {
        let creds: Creds = read(recorded);
        assert_eq!(creds.versions.len(), 1);
        assert_eq!(creds.versions[0].version, 2);
        assert_eq!(creds.features(), Features::default());
    }
}

#[test]
fn pmcd_asks() {
    read::<Profile>("0000001c 00007002 00000000 00000000 00000000 00000000 00000000");
    let fetch: Fetch = read(
        "00000038 00007003 00000000 00000000 00000000 00000000 00000007 00400000 00400001
         00400002 00400003 00400004 00400005 00400006",
    );
    let all: Vec<PmId> = (0..7).map(|item| PmId(0x0040_0000 + item)).collect();
    assert_eq!(fetch.pmids, all);
    read::<DescReq>("00000010 00007004 00000000 00400000");
    read::<TextReq>("00000014 00007008 00000000 00400000 00000006");
    read::<InstanceReq>("00000020 00007006 00000000 00400000 00000000 00000000 ffffffff 00000000");
    read::<LabelReq>("00000014 00007012 00000000 00000001 00000002");
    read::<LabelReq>("00000014 00007012 00000000 00400000 00000004");
}

#[test]
fn pmcd_tells_that_a_client_has_left() {
    let left: ErrorPdu = read("00000010 00007000 00000000 ffffcf99");
    assert_eq!(left, ErrorPdu::Plain(Status::NOT_CONNECTED));
}

#[test]
fn pmcd_stores_and_the_agent_refuses() {
    read::<FetchResult>(
        "00000034 00007001 00000000 04813744 00000000 00000001 00400002 00000002 00000000
         00000000 00000003 00000001 00000003",
    );
    let refused: ErrorPdu = read("00000010 00007000 00000000 ffffcf9d");
    assert_eq!(refused, ErrorPdu::Plain(Status::PERMISSION));
}

#[test]
fn the_agent_answers() {
    read::<Descriptor>("00000020 00007005 00000000 00400000 00000006 00400000 00000004 00000000");
    read::<Text>(
        "00000044 00007009 00000000 00400000 0000002f 746563686e6f6c6f6779206261636b696e67206561
         636820636f6e7461696e65722028652e672e20646f636b6572297e",
    );
    read::<InstanceList>(
        "000000a4 00007007 00000000 00400000 00000002 00000000 00000040
         6232623230303030303030303030303030303030303030303030303030303030
         3030303030303030303030303030303030303030303030303030303030303032 00000001 00000040
         6131613130303030303030303030303030303030303030303030303030303030
         3030303030303030303030303030303030303030303030303030303030303031",
    );
    read::<FetchResult>(
        "0000004c 00007001 00000000 00000000 00000000 00000001 00400001 00000002 00000001
         00000000 0000000d 00000001 00000010 06000009 62657461 007e7e7e 0600000a 616c7068
         61007e7e",
    );
    read::<Labels>("0000001c 00007013 00000000 00000001 00000002 00000000 00000000");
}
