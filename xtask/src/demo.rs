//! `cargo xtask demo`.

pub(crate) fn run(_args: lexopt::Parser) -> anyhow::Result<()> {
    anyhow::bail!("not there yet")
}
