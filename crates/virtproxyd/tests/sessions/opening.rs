//! How a connection begins: which daemon it comes to, and what is said when there is none.

use anyhow::{Context, Result, ensure};
use testbed::{Libvirtd, VirtWire};
use virt_proto::{
    AuthList, Call, ErrorNumber, Feature, GetUri, Header, Open, OpenFlags, Payload, Procedure,
    Program, RemoteError, Serial, Supported, SupportsFeature, Uri,
};

use crate::house::{Door, House, QEMU, TEST, virtproxyd};

/// Defines a guest by its XML.
const DOMAIN_DEFINE_XML: Procedure = Procedure(11);

/// What a call carries when it is answered, or the text of its error.
fn outcome<C: Call>(wire: &mut VirtWire, call: &C) -> Result<Result<C::Reply, Option<String>>> {
    Ok(wire.call(call)?.map_err(|error| error.message))
}

fn open(name: Option<&str>) -> Open {
    Open {
        name: name.map(str::to_owned),
        flags: OpenFlags::default(),
    }
}

/// The URI that a client gets that asks for this one.
fn opened_as(door: &Door, name: Option<&str>) -> Result<Uri> {
    let mut wire = door.wire()?;
    good(wire.call(&AuthList)?)?;
    good(wire.call(&open(name))?)?;
    good(wire.call(&GetUri)?)
}

/// What a call carries when it is answered well.
fn good<T>(outcome: Result<T, RemoteError>) -> Result<T> {
    outcome.map_err(|error| anyhow::anyhow!("refused: {error:?}"))
}

#[test]
fn no_uri_and_an_empty_one_are_probed() -> Result<()> {
    let house = House::open()?;
    let empty = house.same(|door| opened_as(door, Some("")))?;
    // libvirtd 9.0 refuses a URI that is not there, unlike the C virtproxyd.
    let none = opened_as(&house.proxied(), None)?;
    ensure!((&*empty.0, &*none.0) == (QEMU, QEMU), "{empty:?} {none:?}");
    house.is_in_order()
}

#[test]
fn a_real_client_without_a_uri_is_probed() -> Result<()> {
    let house = House::open()?;
    let answer = house.same(|door| {
        let uri = format!("remote+unix:///?socket={}", door.socket.display());
        Ok(door.answer(testbed::virsh(&uri).args(["list", "--all"]).run()?))
    })?;
    ensure!(answer.status == Some(0), "{answer:?}");
    house.is_in_order()
}

#[test]
fn features_of_the_daemon_are_told_before_a_driver_is_open() -> Result<()> {
    let house = House::open()?;
    house.same(|door| {
        let mut wire = door.wire()?;
        good(wire.call(&AuthList)?)?;
        let mut told = Vec::new();
        for feature in 0..20 {
            told.push(outcome(&mut wire, &SupportsFeature(Feature(feature)))?);
        }
        ensure!(told[10] == Ok(Supported(true)), "{told:?}");
        told.push(outcome(&mut wire, &SupportsFeature(Feature(-1)))?);
        Ok(told)
    })?;
    house.is_in_order()
}

#[test]
fn features_are_told_the_same_when_a_driver_is_open() -> Result<()> {
    let house = House::open()?;
    for uri in [TEST, QEMU] {
        house.same(|door| {
            let mut wire = door.wire()?;
            wire.open(uri, OpenFlags::default())?;
            (0..20)
                .map(|feature| outcome(&mut wire, &SupportsFeature(Feature(feature))))
                .collect::<Result<Vec<_>>>()
        })?;
    }
    Ok(())
}

#[test]
fn calls_before_the_open_are_refused_as_libvirtd_does() -> Result<()> {
    let house = House::open()?;
    let refused = house.same(|door| {
        let mut wire = door.wire()?;
        let before = wire.call(&GetUri)?;
        good(wire.call(&AuthList)?)?;
        Ok((before, wire.call(&GetUri)?))
    })?;
    ensure!(refused.1.is_err(), "{refused:?}");
    house.is_in_order()
}

#[test]
fn a_second_open_is_refused_as_libvirtd_does() -> Result<()> {
    let house = House::open()?;
    house.same(|door| {
        let mut wire = door.wire()?;
        wire.open(TEST, OpenFlags::default())?;
        let again = outcome(&mut wire, &open(Some(TEST)))?;
        ensure!(again.is_err(), "a second open was taken");
        // libvirtd 9.0 forgets the driver over it, but the connection lives on.
        wire.call(&AuthList)?.ok();
        Ok(again.err())
    })?;
    house.is_in_order()
}

#[test]
fn a_missing_daemon_is_told_at_once_and_another_may_be_opened() -> Result<()> {
    let house = House::open()?;
    let mut wire = house.proxied().wire()?;
    good(wire.call(&AuthList)?)?;
    for _ in 0..3 {
        let error = wire
            .call(&open(Some("xen:///system")))?
            .err()
            .context("there is no xen")?;
        let text = error.message.unwrap_or_default();
        ensure!(text.contains("virtxend-sock"), "{text}");
    }
    good(wire.call(&open(Some(TEST)))?)?;
    ensure!(wire.call(&GetUri)? == Ok(Uri(TEST.into())), "not open");
    drop(wire);
    let answer = house.proxied().virsh("xen:///system", &["list"])?;
    ensure!(
        answer.status == Some(1) && answer.stderr.contains("virtxend-sock"),
        "{answer:?}"
    );
    house.is_in_order()
}

#[test]
fn what_the_daemon_refuses_is_refused_in_its_words() -> Result<()> {
    let house = House::open()?;
    for uri in [
        "qemu:///nosuch",
        "test:///nosuch",
        "network:///nosuch",
        "qemu://elsewhere/system",
    ] {
        let ask = |door: &Door| {
            let mut wire = door.wire()?;
            good(wire.call(&AuthList)?)?;
            let refused = wire.call(&open(Some(uri)))?;
            ensure!(refused.is_err(), "{uri} was opened");
            good(wire.call(&open(Some(TEST)))?)?;
            Ok(refused.err())
        };
        house.same(ask).with_context(|| uri.to_owned())?;
    }
    house.is_in_order()
}

#[test]
fn no_spelling_of_a_uri_passes_by_the_rule_about_it() -> Result<()> {
    let rules = format!("uri_access = [ \"deny to {TEST}\", \"allow\" ]");
    let (proxy, libvirtd) = (virtproxyd().config(&rules).start()?, Libvirtd::start()?);
    libvirtd.link_as(&proxy.daemons(), "test")?;
    for uri in ["test:///%64efault", "test:///default?a=b", "test:/default"] {
        VirtWire::unix(&libvirtd.socket())?
            .open(uri, OpenFlags::default())
            .with_context(|| format!("libvirtd does not take {uri} for {TEST}"))?;
        let mut wire = VirtWire::unix(&proxy.socket())?;
        let opened = wire.open(uri, OpenFlags::default());
        ensure!(opened.is_err(), "{uri} was opened");
    }
    Ok(())
}

#[test]
fn a_daemon_that_left_its_socket_behind_is_told_at_once() -> Result<()> {
    let (proxy, mut libvirtd) = (virtproxyd().start()?, Libvirtd::start()?);
    libvirtd.link_as(&proxy.daemons(), "test")?;
    libvirtd.kill();
    let mut wire = VirtWire::unix(&proxy.socket())?;
    good(wire.call(&AuthList)?)?;
    let error = wire
        .call(&open(Some(TEST)))?
        .err()
        .context("nobody is there")?;
    let text = error.message.unwrap_or_default();
    ensure!(
        text.contains("virttestd-sock") && text.contains("refused"),
        "{text}"
    );
    Ok(())
}

#[test]
fn rules_are_about_what_is_opened_whatever_was_asked_for() -> Result<()> {
    let rules = "uri_access = [ \"allow read-only to qemu:///system\", \"deny from any\" ]";
    let proxy = virtproxyd().config(rules).start()?;
    let libvirtd = Libvirtd::start()?;
    libvirtd.link_as(&proxy.daemons(), "qemu")?;
    libvirtd.link_as(&proxy.daemons(), "test")?;
    let mut wire = VirtWire::unix(&proxy.socket())?;
    good(wire.call(&AuthList)?)?;
    for uri in ["test:///default", "TEST:///default", "qemu:///session"] {
        let error = wire.call(&open(Some(uri)))?.err().context(uri)?;
        ensure!(
            error.number == ErrorNumber::ACCESS_DENIED,
            "{uri}: {error:?}"
        );
    }
    for name in [None, Some("")] {
        let mut wire = VirtWire::unix(&proxy.socket())?;
        good(wire.call(&AuthList)?)?;
        good(wire.call(&open(name))?)?;
        ensure!(wire.call(&GetUri)? == Ok(Uri(QEMU.into())), "not open");
        // It is libvirtd who refuses this to a reader.
        let header = Header::call(Program::REMOTE, DOMAIN_DEFINE_XML, Serial(4));
        let refused = wire.ask(&header, &Uri("<domain/>".into()).encode())?;
        let error = refused.outcome::<()>()?.err().context("defined")?;
        let text = error.message.unwrap_or_default();
        ensure!(text.contains("read only"), "{text}");
    }
    let proxy = virtproxyd()
        .config("uri_access = [ \"deny to qemu:*\", \"allow\" ]")
        .start()?;
    libvirtd.link_as(&proxy.daemons(), "qemu")?;
    let mut wire = VirtWire::unix(&proxy.socket())?;
    good(wire.call(&AuthList)?)?;
    for name in [None, Some(""), Some(QEMU)] {
        let error = wire.call(&open(name))?.err().context("opened")?;
        ensure!(error.number == ErrorNumber::ACCESS_DENIED, "{error:?}");
    }
    Ok(())
}
