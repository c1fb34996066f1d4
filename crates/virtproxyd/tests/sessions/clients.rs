//! Much data: volumes up and down, long descriptions.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::house::{Door, House, QEMU, TEST};

/// The size of the volume that goes up and down, in bytes.
const VOLUME: usize = 32 << 20;

/// Bytes in which a piece that is lost, doubled or moved shows.
fn numbered(len: usize) -> Vec<u8> {
    (0u32..).flat_map(u32::to_be_bytes).take(len).collect()
}

#[test]
fn a_volume_comes_back_as_it_was_sent() -> Result<()> {
    let house = House::open()?;
    let folder = house.libvirtd.folder();
    let (sent, pool) = (folder.join("sent"), folder.join("pool"));
    fs::write(&sent, numbered(VOLUME))?;
    fs::create_dir(&pool)?;
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let there = house.direct();
    there.do_virsh(
        QEMU,
        &["pool-create-as", "pool", "dir", "--target", &path(&pool)],
    )?;
    there.do_virsh(QEMU, &["vol-create-as", "pool", "volume", "32M"])?;
    let through = house.proxied();
    through.do_virsh(
        QEMU,
        &["vol-upload", "volume", &path(&sent), "--pool", "pool"],
    )?;
    ensure!(
        fs::read(pool.join("volume"))? == numbered(VOLUME),
        "the upload has changed bytes"
    );
    for sparse in [&[][..], &["--sparse"]] {
        let got = folder.join("got");
        let words = ["vol-download", "volume", &path(&got), "--pool", "pool"];
        through.do_virsh(QEMU, &[&words, sparse].concat())?;
        ensure!(
            fs::read(&got)? == numbered(VOLUME),
            "the download has changed bytes"
        );
        fs::remove_file(got)?;
    }
    house.is_in_order()
}

#[test]
fn a_sparse_volume_goes_up_with_its_holes() -> Result<()> {
    let house = House::open()?;
    let folder = house.libvirtd.folder();
    let (sent, pool) = (folder.join("sent"), folder.join("pool"));
    let file = fs::File::create(&sent)?;
    file.set_len(64 << 20)?;
    std::os::unix::fs::FileExt::write_all_at(&file, b"gatehouse", 40 << 20)?;
    fs::create_dir(&pool)?;
    let door = house.proxied();
    let (sent, target) = (sent.to_string_lossy(), pool.to_string_lossy());
    door.do_virsh(
        QEMU,
        &["pool-create-as", "pool", "dir", "--target", &target],
    )?;
    door.do_virsh(QEMU, &["vol-create-as", "pool", "volume", "64M"])?;
    door.do_virsh(
        QEMU,
        &["vol-upload", "volume", &sent, "--pool", "pool", "--sparse"],
    )?;
    ensure!(
        fs::read(&*sent)? == fs::read(pool.join("volume"))?,
        "the upload has changed bytes"
    );
    house.is_in_order()
}

#[test]
fn half_a_megabyte_of_xml_goes_there_and_back() -> Result<()> {
    let house = House::open()?;
    let text = "gate ".repeat(100 << 10);
    let description = format!("<description>{text}</description>");
    let xml = fs::read_to_string(house.libvirtd.guest("long")?)?
        .replace("</name>", &format!("</name>{description}"));
    let file = house.libvirtd.folder().join("long.xml");
    fs::write(&file, xml)?;
    let file = file.to_string_lossy();
    let define = |door: &Door| {
        door.do_virsh(QEMU, &["define", &file])?;
        let shown = door.virsh(QEMU, &["dumpxml", "long"])?.stdout;
        door.do_virsh(QEMU, &["undefine", "long"])?;
        let (_, rest) = shown
            .split_once("<description>")
            .context("no description")?;
        Ok(rest
            .split_once("</description>")
            .context("no end")?
            .0
            .to_owned())
    };
    ensure!(house.same(define)? == text, "the description has changed");
    house.is_in_order()
}

#[test]
fn a_screenshot_is_the_same_picture() -> Result<()> {
    let house = House::open()?;
    let file = house.libvirtd.folder().join("picture");
    let picture = house.same(|door| {
        door.do_virsh(TEST, &["screenshot", "test", &file.to_string_lossy()])?;
        Ok(fs::read(&file)?)
    })?;
    ensure!(!picture.is_empty(), "the picture is empty");
    house.is_in_order()
}
