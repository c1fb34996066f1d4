//! polkit: a real one, with rules and actions of the test, on a bus of its own.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result};

use crate::client::{Client, Running};
use crate::eventually::{PATIENCE, eventually};
use crate::packages;
use crate::process::{Process, clean_command};
use crate::scratch::Scratch;

/// A bus on which everybody may do anything.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true"/>
    <allow receive_type="method_call"/>
    <allow receive_type="signal"/>
    <allow receive_requested_reply="true"/>
  </policy>
</busconfig>
"#;

/// libvirt's actions with its defaults.
const ACTIONS: &str = r#"<!DOCTYPE policyconfig PUBLIC
 "-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/PolicyKit/1.0/policyconfig.dtd">
<policyconfig>
  <action id="org.libvirt.unix.monitor">
    <description>Look</description>
    <message>Look?</message>
    <defaults>
      <allow_any>yes</allow_any>
      <allow_inactive>yes</allow_inactive>
      <allow_active>yes</allow_active>
    </defaults>
  </action>
  <action id="org.libvirt.unix.manage">
    <description>Change</description>
    <message>Change?</message>
    <defaults>
      <allow_any>auth_admin</allow_any>
      <allow_inactive>auth_admin</allow_inactive>
      <allow_active>auth_admin</allow_active>
    </defaults>
  </action>
</policyconfig>
"#;

/// Whom polkit lets in whatever the action, and whom it never lets in.
const RULES: &str = r#"polkit.addRule(function(action, subject) {
    if (subject.user == "daemon") return polkit.Result.YES;
    if (subject.user == "games") return polkit.Result.NO;
});
"#;

/// A bus, with polkit on it if it was started. It takes root.
#[derive(Debug)]
pub struct Polkit {
    // Dropped in this order: the folder outlives the processes.
    _polkit: Option<Running>,
    _bus: Process,
    address: String,
    scratch: Scratch,
}

impl Polkit {
    /// Starts polkit, which knows libvirt's actions with their defaults; beyond that it lets
    /// `daemon` do anything and `games` nothing.
    ///
    /// # Errors
    /// When a Debian package is missing or it does not come up.
    pub fn start() -> Result<Polkit> {
        let mut bed = Polkit::missing()?;
        packages::require("polkitd")?;
        let actions = bed.folder("actions", "org.libvirt.unix.policy", ACTIONS)?;
        let rules = bed.folder("rules", "10-test.rules", RULES)?;
        let nothing = bed.folder("nothing", "README", "")?;
        let script = format!(
            "mount --make-rprivate / &&
             mount --bind {actions} /usr/share/polkit-1/actions &&
             mount --bind {rules} /etc/polkit-1/rules.d &&
             mount --bind {nothing} /usr/share/polkit-1/rules.d &&
             exec /usr/lib/polkit-1/polkitd"
        );
        let polkit = Client::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .env("DBUS_SYSTEM_BUS_ADDRESS", &bed.address)
            .start()?;
        eventually(PATIENCE, "polkitd to be on the bus", || {
            polkit.stdout().contains("Acquired the name")
        })
        .with_context(|| format!("{} {}", polkit.stdout(), polkit.stderr()))?;
        bed._polkit = Some(polkit);
        Ok(bed)
    }

    /// Starts a bus without polkit.
    ///
    /// # Errors
    /// When the Debian package is missing or the bus does not come up.
    pub fn missing() -> Result<Polkit> {
        packages::require("dbus")?;
        let scratch = Scratch::new()?;
        // polkit's own user has to find the socket.
        set_permissions(scratch.path(), Permissions::from_mode(0o711))?;
        let socket = scratch.join("bus");
        let config = BUS.replace("SOCKET", &socket.display().to_string());
        let config = scratch.write("bus.conf", config)?;
        let mut command = clean_command("dbus-daemon");
        command
            .args(["--nofork", "--nopidfile", "--config-file"])
            .arg(config);
        let bus = Process::spawn("dbus-daemon", command)?;
        eventually(PATIENCE, "the bus", || UnixStream::connect(&socket).is_ok())?;
        Ok(Polkit {
            _polkit: None,
            _bus: bus,
            address: format!("unix:path={}", socket.display()),
            scratch,
        })
    }

    /// Where the bus is, as in `DBUS_SYSTEM_BUS_ADDRESS`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A folder for the files of the test, which others may not list.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// A folder that polkit's user can read, with one file.
    fn folder(&self, name: &str, file: &str, content: &str) -> Result<String> {
        let folder = self.scratch.folder(name)?;
        set_permissions(&folder, Permissions::from_mode(0o755))?;
        let file = self.scratch.write(Path::new(name).join(file), content)?;
        set_permissions(file, Permissions::from_mode(0o644))?;
        Ok(folder.display().to_string())
    }
}
