//! polkit, asked over D-Bus whether the process at the other end of a unix socket may come in.

use std::collections::HashMap;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;
use virt_proto::{ErrorDomain, ErrorNumber, RemoteError};
use zbus::connection::Builder;
use zbus::{Connection, Variant, proxy};

use super::Failure;
use crate::who::{UnixPeer, start_of};

/// libvirt's actions for clients that may change things and for those that may look.
pub(super) const MANAGE: &str = "org.libvirt.unix.manage";
pub(super) const MONITOR: &str = "org.libvirt.unix.monitor";

/// How long the bus may take for anything but the question itself.
const BUS_LIMIT: Duration = Duration::from_secs(10);

/// How long the question may take: somebody may have to find a password and type it.
const ANSWER_LIMIT: Duration = Duration::from_secs(5 * 60);

/// `POLKIT_CHECK_AUTHORIZATION_FLAGS_ALLOW_USER_INTERACTION`.
const ALLOW_USER_INTERACTION: u32 = 1;

/// Names a question for its cancellation. Each has a connection of its own.
const CANCELLATION: &str = "question";

/// What polkit knows of a process (`unix-process`).
type Details<'a> = HashMap<&'a str, Variant<'a>>;

/// Whether it is authorized, whether it might be if somebody asked the user, and details.
type Answer = (bool, bool, HashMap<String, String>);

#[proxy(
    interface = "org.freedesktop.PolicyKit1.Authority",
    default_service = "org.freedesktop.PolicyKit1",
    default_path = "/org/freedesktop/PolicyKit1/Authority"
)]
trait Authority {
    fn check_authorization(
        &self,
        subject: &(&str, Details<'_>),
        action: &str,
        details: HashMap<&str, &str>,
        flags: u32,
        cancellation: &str,
    ) -> zbus::Result<(Answer,)>;

    fn cancel_check_authorization(&self, cancellation: &str) -> zbus::Result<()>;
}

/// Passes if polkit lets the process do this. Dropping it withdraws the question.
pub(super) async fn check(
    bus_address: Option<&str>,
    unix: UnixPeer,
    action: &str,
) -> Result<(), Failure> {
    let process = unix
        .process
        .ok_or_else(|| Failure::untold("the kernel does not tell its process"))?;
    let subject = Details::from([
        ("pid", process.pid.unsigned_abs().into()),
        ("start-time", process.started.into()),
        // polkit has users as signed numbers.
        ("uid", unix.uid.cast_signed().into()),
    ]);
    let mut question = Question::new(bus_address).await?;
    let answer = question.ask(("unix-process", subject), action).await?;
    judge(answer, action)?;
    // Another process could have got the number meanwhile.
    if start_of(process.pid) != Some(process.started) {
        return Err(Failure::untold("its process has ended"));
    }
    Ok(())
}

/// In the words of libvirt, whose clients go by number and domain: virsh brings its own agent when
/// there is none.
fn judge((authorized, challenge, details): Answer, action: &str) -> Result<(), Failure> {
    if authorized {
        return Ok(());
    }
    let dismissed = details
        .get("polkit.dismissed")
        .is_some_and(|value| value == "true");
    let (number, detail) = if dismissed {
        (
            ErrorNumber::AUTH_CANCELLED,
            "user cancelled authentication process".to_owned(),
        )
    } else if challenge {
        (
            ErrorNumber::AUTH_UNAVAILABLE,
            format!("no polkit agent available to authenticate action '{action}'"),
        )
    } else {
        (
            ErrorNumber::AUTH_FAILED,
            "access denied by policy".to_owned(),
        )
    };
    Err(Failure {
        error: Box::new(RemoteError::new(number, ErrorDomain::POLKIT, &detail)),
        reason: format!("polkit says no to {action}: {detail}"),
    })
}

/// polkit did not answer. The client learns no more than that.
fn unreachable(reason: &str) -> Failure {
    let told = "polkit cannot be asked";
    let (number, domain) = (ErrorNumber::AUTH_FAILED, ErrorDomain::POLKIT);
    Failure {
        error: Box::new(RemoteError::new(number, domain, told)),
        reason: format!("{told}: {reason} (are D-Bus and polkitd running?)"),
    }
}

/// A question with a connection to the bus of its own. It is withdrawn on drop.
struct Question {
    connection: Connection,
    /// Whether it may still lie with polkit.
    open: bool,
}

impl Question {
    async fn new(bus_address: Option<&str>) -> Result<Question, Failure> {
        let builder = match bus_address {
            Some(address) => Builder::address(address),
            None => Builder::system(),
        };
        match timeout(BUS_LIMIT, builder.build()).await {
            Ok(Ok(connection)) => Ok(Question {
                connection,
                open: false,
            }),
            Ok(Err(error)) => Err(unreachable(&format!("the system's D-Bus: {error}"))),
            Err(_) => Err(unreachable("the system's D-Bus does not answer")),
        }
    }

    async fn ask(&mut self, subject: (&str, Details<'_>), action: &str) -> Result<Answer, Failure> {
        self.open = true;
        let asking = async {
            let authority = AuthorityProxy::new(&self.connection).await?;
            let flags = ALLOW_USER_INTERACTION;
            authority
                .check_authorization(&subject, action, HashMap::new(), flags, CANCELLATION)
                .await
        };
        let seconds = ANSWER_LIMIT.as_secs();
        let answer = timeout(ANSWER_LIMIT, asking)
            .await
            .map_err(|_| unreachable(&format!("there was no answer for {seconds} s")))?;
        self.open = false;
        match answer {
            Ok((answer,)) => Ok(answer),
            Err(error) => Err(unreachable(&error.to_string())),
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let (true, Ok(runtime)) = (self.open, Handle::try_current()) else {
            return;
        };
        let connection = self.connection.clone();
        runtime.spawn(async move {
            let withdrawing = async {
                let authority = AuthorityProxy::new(&connection).await?;
                authority.cancel_check_authorization(CANCELLATION).await
            };
            // At worst there was an answer meanwhile, and nothing to withdraw.
            let _ = timeout(BUS_LIMIT, withdrawing).await;
        });
    }
}
