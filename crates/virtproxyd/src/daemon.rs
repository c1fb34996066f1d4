//! The life of the daemon: everything is checked and opened, clients are served until a signal or
//! the timeout ends it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use gate::lifecycle::{PidFile, Signal, Signals, Starter, State, hold_signals, tell_manager};
use gate::limits::{Descriptors, accept_with_room};
use gate::listen::Listener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use virt_proto::Identity;

use crate::admin::{Administered, Server};
use crate::auth::SASL_PLACES;
use crate::certificates::Certificates;
use crate::clients::{About, Clients, Transport};
use crate::config::{Config, Method};
use crate::doors::{self, Door, OpenDoor, Purpose};
use crate::fatal::{Fatal, OrExit, Status};
use crate::logging::Logging;
use crate::options::Options;
use crate::orders::Orders;
use crate::paths::Mode;
use crate::session::{Live, RpcRelay, Shared, on_end};
use crate::source::Source;
use crate::who::UnixPeer;

/// How long sessions may go on once the daemon was told to end.
const GRACE: Duration = Duration::from_secs(2);

/// Threads that admit clients; relaying has its own.
const ADMISSION_THREADS: usize = 2;

/// Threads for what blocks: SASL, look-ups of users and groups, administrators' orders. There are more
/// than SASL can take, so that one that hangs leaves some for the rest.
const BLOCKING_THREADS: usize = 4 * SASL_PLACES;

/// How often to look whether clients are there, while the daemon ends without them.
const IDLE_PAUSE: Duration = Duration::from_millis(250);

/// Runs the daemon until a signal ends it. The starter is released once clients are served.
pub(crate) fn run(
    options: &Options,
    source: &Source,
    config: Config,
    logging: &Logging,
) -> Result<(), Fatal> {
    let live = source.live(config).or_exit(Status::Config)?;
    hold_signals()
        .context("cannot hold signals back")
        .or_exit(Status::Signals)?;
    let descriptors = Descriptors::raise_limit();
    let given = take_doors(source, &live.config).or_exit(Status::Network)?;
    let has_tls = match &*given {
        [] => live.config.listening.tls,
        doors => doors.iter().any(OpenDoor::has_tls),
    };
    let certificates = has_tls.then(|| load_certificates(source, &live.config));
    let certificates = certificates.transpose().or_exit(Status::Network)?;
    let (doors, handed_over) = match given.is_empty() {
        true => {
            make_folder(source, &live.config).or_exit(Status::RunFolder)?;
            let doors = open_doors(source, &live.config).or_exit(Status::Network)?;
            (doors, None)
        }
        false => {
            let handed_over = HandedOver::of(&given);
            (given, Some(handed_over))
        }
    };
    let mut starter = Starter::default();
    if options.daemon {
        starter
            .leave()
            .context("cannot become a daemon")
            .or_exit(Status::Init)?;
    }
    let pid_file = options.pid_file.as_ref().unwrap_or(&source.paths.pid_file);
    let _pid_file = PidFile::create(pid_file, None)
        .map_err(|error| {
            let error = gate::describe(&error);
            anyhow::anyhow!("cannot write the pid file {}: {error}", pid_file.display())
        })
        .or_exit(Status::Start)?;
    for warning in &live.config.warnings {
        tracing::warn!("{warning}");
    }
    for remark in &live.config.remarks {
        tracing::info!("{remark}");
    }
    for door in &doors {
        tracing::info!("listening on {}", door.describe());
    }
    if let Some(warning) = handed_over.as_ref().and_then(|it| it.warning(&live.config)) {
        tracing::warn!("{warning}");
    }
    let surroundings = Surroundings {
        source,
        logging,
        descriptors,
        handed_over,
    };
    let daemon = Daemon::start(options, surroundings, live, certificates).or_exit(Status::Init)?;
    let runtime = runtime()
        .context("cannot start the threads that admit clients")
        .or_exit(Status::Init)?;
    let served = runtime.block_on(daemon.serve(doors, &mut starter));
    served.or_exit(Status::Init)?;
    // Look-ups that hang must not hold up the end.
    runtime.shutdown_background();
    Ok(())
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(ADMISSION_THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("admission")
        .enable_all()
        .build()
}

/// Reads what TLS needs.
fn load_certificates(source: &Source, config: &Config) -> Result<Certificates> {
    let places = &source.paths.certificates;
    let loaded = Certificates::load(&config.tls, places)?;
    tracing::info!("{}", loaded.describe());
    Ok(Certificates::new(loaded, places.clone()))
}

/// Takes the sockets that the service manager hands over, if it does.
fn take_doors(source: &Source, config: &Config) -> Result<Vec<OpenDoor>> {
    let listening = &config.listening;
    let sockets = source.paths.sockets(listening.unix_folder.as_deref());
    let doors = doors::handed_over(&sockets, listening)?;
    if !doors.is_empty() {
        tracing::info!(
            "the service manager handed over the sockets: settings of virtproxyd.conf about \
             sockets have no effect"
        );
    }
    Ok(doors)
}

/// Opens the sockets of the configuration.
fn open_doors(source: &Source, config: &Config) -> Result<Vec<OpenDoor>> {
    let listening = &config.listening;
    let sockets = source.paths.sockets(listening.unix_folder.as_deref());
    doors::open(&sockets, listening, &config.limits)
}

/// Makes the folder of the sockets if it is missing, for everyone to come in or for its user alone.
fn make_folder(source: &Source, config: &Config) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let sockets = source
        .paths
        .sockets(config.listening.unix_folder.as_deref());
    let Some(folder) = sockets.rw.parent().filter(|folder| !folder.exists()) else {
        return Ok(());
    };
    let permissions = match source.paths.mode() {
        Mode::System => 0o755,
        Mode::Session => 0o700,
    };
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(permissions)
        .create(folder);
    // Whatever the umask is.
    let made = made.and_then(|()| {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(permissions))
    });
    made.map_err(|error| {
        let error = gate::describe(&error);
        anyhow::anyhow!("cannot make the folder {}: {error}", folder.display())
    })
}

/// The sockets that the service manager handed over, as far as a configuration can be wrong about
/// them: permissions in it are not theirs.
#[derive(Debug)]
struct HandedOver {
    /// Unix sockets whose clients may change things.
    writers: Vec<PathBuf>,
}

impl HandedOver {
    fn of(doors: &[OpenDoor]) -> HandedOver {
        let writers = doors.iter().filter_map(OpenDoor::writers_socket);
        HandedOver {
            writers: writers.map(Path::to_path_buf).collect(),
        }
    }

    /// What is to be said if everyone can come in and nobody is asked who they are.
    fn warning(&self, config: &Config) -> Option<String> {
        let open = |path: &&PathBuf| doors::is_open_to_everyone(path);
        let open = self.writers.iter().find(open)?.display();
        (config.auth.unix_rw == Method::None).then(|| {
            format!(
                "auth_unix_rw = \"none\" and the permissions of {open}, which the service manager \
                 opened, let every user of this host do anything: set SocketMode= in the socket unit"
            )
        })
    }
}

/// What a daemon has from its start.
struct Surroundings<'a> {
    source: &'a Source,
    logging: &'a Logging,
    descriptors: Descriptors,
    /// `None` where sockets are its own.
    handed_over: Option<HandedOver>,
}

struct Daemon<'a> {
    around: Surroundings<'a>,
    shared: Arc<Shared>,
    relay: Arc<RpcRelay>,
    administered: Arc<Administered>,
    admins: Arc<Clients>,
    /// Given by an administrator who wants the end.
    order: Arc<Notify>,
    /// In seconds; 0 for none.
    timeout: Arc<watch::Sender<u64>>,
}

impl<'a> Daemon<'a> {
    fn start(
        options: &Options,
        around: Surroundings<'a>,
        live: Live,
        certificates: Option<Certificates>,
    ) -> Result<Daemon<'a>> {
        let limits = &live.config.limits;
        let clients = Clients::new(
            around.descriptors.clients(limits.clients),
            limits.anonymous_clients,
        );
        let shared = Arc::new(Shared::new(clients, certificates, live));
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let relay = RpcRelay::start(cores, on_end(&shared)).context("cannot start the relay")?;
        let relay = Arc::new(relay);
        let carrier = Arc::downgrade(&relay);
        shared.clients.on_dismiss(move |client| {
            if let Some(relay) = carrier.upgrade() {
                relay.dismiss(move |_, ticket| ticket.client() == client);
            }
        });
        let timeout = options.timeout.map_or(0, |timeout| timeout.as_secs());
        let timeout = Arc::new(watch::Sender::new(timeout));
        let order = Arc::new(Notify::new());
        let live = shared.live();
        let limits = &live.config.limits;
        let admins = Clients::new(limits.admin_clients, 0);
        let has_tls = shared.certificates.is_some();
        let administered = Administered::new(
            Server::new("virtproxyd", &shared.clients, limits.workers, has_tls),
            Server::new("admin", &admins, limits.admin_workers, false),
            live.config.admin_keepalive,
            Orders {
                shared: Arc::clone(&shared),
                logging: around.logging.clone(),
                timeout: Arc::clone(&timeout),
                end: Arc::clone(&order),
            },
        );
        Ok(Daemon {
            around,
            shared,
            relay,
            administered,
            admins,
            order,
            timeout,
        })
    }

    /// Serves clients until it is time to end, then lets their sessions end for a while.
    async fn serve(self, doors: Vec<OpenDoor>, starter: &mut Starter) -> Result<()> {
        let mut signals = Signals::listen().context("cannot receive signals")?;
        let mut work = JoinSet::new();
        for door in doors {
            let listener = door.socket.into_listener()?;
            match door.purpose {
                Purpose::Clients(door) => {
                    work.spawn(self.accept_clients(listener, door));
                }
                Purpose::Admin => {
                    work.spawn(accept_administrators(
                        listener,
                        Arc::clone(&self.administered),
                    ));
                }
            }
        }
        let shared = Arc::clone(&self.shared);
        work.spawn(async move {
            if let Some(certificates) = &shared.certificates {
                certificates.watch().await;
            }
        });
        starter
            .release(self.around.logging.uses_stderr())
            .context("cannot let go of the terminal")?;
        tell_manager(State::Ready);
        tokio::select! {
            name = self.heed(&mut signals) => tracing::info!("virtproxyd caught {name}"),
            () = self.order.notified() => tracing::info!("an administrator ends virtproxyd"),
            () = self.idle_for_too_long() => tracing::info!("no clients for the time of -t"),
        }
        tell_manager(State::Stopping);
        work.shutdown().await;
        tokio::select! {
            () = self.relay.sessions_end(GRACE) => {}
            _ = signals.next() => {}
        }
        tracing::info!("virtproxyd shut down");
        Ok(())
    }

    fn accept_clients(
        &self,
        listener: Listener,
        door: Door,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (shared, relay) = (Arc::clone(&self.shared), Arc::clone(&self.relay));
        async move {
            let room = || shared.clients.room();
            accept_with_room(&listener, room, |stream, peer, _turn| {
                if let Some(guest) = shared.welcome(stream, peer, door) {
                    let (shared, relay) = (Arc::clone(&shared), Arc::clone(&relay));
                    tokio::spawn(async move { shared.serve(&relay, guest).await });
                }
            })
            .await;
        }
    }

    /// Does what signals ask for, until one asks for the end; gives its name.
    async fn heed(&self, signals: &mut Signals) -> &'static str {
        loop {
            match signals.next().await {
                Signal::Reload => {
                    tell_manager(State::Reloading);
                    self.reload();
                    tell_manager(State::Ready);
                }
                Signal::Stop(name) => return name,
            }
        }
    }

    /// Waits until there have been no clients for the time of the timeout, which an administrator may
    /// change.
    async fn idle_for_too_long(&self) {
        let mut timeout = self.timeout.subscribe();
        let mut idle_since = Instant::now();
        loop {
            let seconds = *timeout.borrow_and_update();
            if seconds == 0 {
                // The sender is our own.
                let _ = timeout.changed().await;
                idle_since = Instant::now();
                continue;
            }
            sleep(IDLE_PAUSE).await;
            let clients = self.shared.clients.count().0 + self.admins.count().0;
            if clients > 0 {
                idle_since = Instant::now();
            } else if idle_since.elapsed() >= Duration::from_secs(seconds) {
                return;
            }
        }
    }

    /// Reads the configuration anew; one with an error changes nothing.
    fn reload(&self) {
        if let Err(error) = self.around.logging.reopen() {
            tracing::error!("SIGHUP: {error}");
        }
        match self.try_reload() {
            Ok(()) => tracing::info!("SIGHUP: the configuration is read"),
            Err(error) => {
                tracing::error!("SIGHUP: everything stays as it was: {error:#}");
            }
        }
    }

    /// Whether the sockets as they are go with a new configuration; perhaps with a warning.
    fn judge_doors(&self, config: &Config, old: &Config) -> Result<Option<String>> {
        if let Some(handed_over) = &self.around.handed_over {
            return match handed_over.warning(config) {
                Some(warning) if old.auth.unix_rw != Method::None => bail!(warning),
                warning => Ok(warning),
            };
        }
        let mode = old.listening.unix_rw_mode;
        if config.auth.unix_rw == Method::None && config.listening.unix_rw_mode != mode {
            bail!(
                "auth_unix_rw = \"none\" needs other permissions of the socket than the {mode:04o} \
                 that it was opened with: restart virtproxyd"
            );
        }
        Ok(None)
    }

    /// Whatever may fail comes first, so that all of it is done or nothing.
    fn try_reload(&self) -> Result<()> {
        let live = self.around.source.live(self.around.source.read()?)?;
        let old = self.shared.live();
        let config = &live.config;
        let warning = self.judge_doors(config, &old.config)?;
        let logging = self.around.logging.prepare(&config.logging)?;
        if let Some(certificates) = &self.shared.certificates {
            certificates.reload(&config.tls)?;
        }
        self.around.logging.adopt(logging);
        for setting in config.fixed_that_differ(&old.config) {
            tracing::warn!("{setting} stays as it is until virtproxyd is started again");
        }
        for warning in config.warnings.iter().chain(&warning) {
            tracing::warn!("{warning}");
        }
        for remark in &config.remarks {
            tracing::info!("{remark}");
        }
        let limits = &config.limits;
        let clients = self.around.descriptors.clients(limits.clients);
        self.shared
            .clients
            .set_limits(clients, limits.anonymous_clients);
        self.admins.set_limits(limits.admin_clients, 0);
        // The sockets stay what they are.
        let listening = old.config.listening.clone();
        self.shared.replace(Live {
            config: Config {
                listening,
                ..live.config
            },
            ..live
        });
        Ok(())
    }
}

async fn accept_administrators(listener: Listener, administered: Arc<Administered>) {
    let room = || std::future::ready(());
    accept_with_room(&listener, room, |stream, peer, ()| {
        let administered = Arc::clone(&administered);
        tokio::spawn(async move {
            let identity = match UnixPeer::of(&stream) {
                Ok(Some(unix)) => unix.identity().await,
                // Without an identity it is refused.
                Ok(None) | Err(_) => Identity::default(),
            };
            let about = About {
                transport: Transport::Unix,
                connected: SystemTime::now(),
                read_only: false,
                peer,
                identity,
                authenticated: true,
            };
            administered.serve(stream, about).await;
        });
    })
    .await;
}
