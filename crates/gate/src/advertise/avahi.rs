//! Avahi over D-Bus: whether it runs, and services that it publishes for us.
//!
//! Avahi withdraws what a client has published when the client's connection to the bus ends.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use zbus::Connection;
use zbus::connection::Builder;
use zbus::fdo::{DBusProxy, NameOwnerChangedStream};
use zbus::names::BusName;

use super::dbus::entry_group::{self, EntryGroupProxy};
use super::dbus::server::{self, ServerProxy};
use super::reach::{Place, Reach};
use super::service::Service;

const NAME: &str = "org.freedesktop.Avahi";

/// The longest that an answer on the bus may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names that are tried for one service before it is given up for a while.
const MOST_NAMES: usize = 100;

/// Nothing out of the ordinary (`AvahiPublishFlags`).
const NO_FLAGS: u32 = 0;

/// Lets Avahi choose its own domain and host name.
const ITS_OWN: &str = "";

/// The error that says that a name is taken on this host.
const COLLISION: &str = "org.freedesktop.Avahi.CollisionError";

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot reach the system's D-Bus: {0}")]
    NoBus(#[source] zbus::Error),
    #[error("the system's D-Bus did not greet within {} s", PATIENCE.as_secs())]
    SilentBus,
    #[error("the system's D-Bus has gone")]
    BusGone,
    #[error("Avahi does not publish {name} ({kind}): {source}")]
    Refused {
        name: String,
        kind: &'static str,
        source: zbus::Error,
    },
    #[error("Avahi has failed")]
    Failed,
    #[error("Avahi cannot publish {name}: that name and {} more are taken", MOST_NAMES - 1)]
    Taken { name: String },
    #[error("no interface has one of the addresses at which the daemon listens")]
    Nowhere,
}

impl Error {
    /// Whether it is the bus that is missing, so that nothing is known of Avahi.
    pub(super) fn is_of_the_bus(&self) -> bool {
        matches!(self, Error::NoBus(_) | Error::SilentBus | Error::BusGone)
    }
}

/// A connection to the system's bus that watches Avahi come and go.
pub(super) struct Bus {
    connection: Connection,
    changes: NameOwnerChangedStream,
    running: bool,
}

impl Bus {
    pub(super) async fn connect() -> Result<Bus, Error> {
        let connecting = async {
            let connection = Builder::system().method_timeout(PATIENCE).build().await?;
            let dbus = DBusProxy::new(&connection).await?;
            let changes = dbus
                .receive_name_owner_changed_with_args(&[(0, NAME)])
                .await?;
            let running = dbus.name_has_owner(BusName::try_from(NAME)?).await?;
            Ok(Bus {
                connection,
                changes,
                running,
            })
        };
        tokio::time::timeout(PATIENCE, connecting)
            .await
            .map_err(|_| Error::SilentBus)?
            .map_err(Error::NoBus)
    }

    /// Whether Avahi runs, as far as is known.
    pub(super) fn has_avahi(&self) -> bool {
        self.running
    }

    pub(super) fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Waits until Avahi has come, gone, or gone and come again.
    pub(super) async fn change(&mut self) -> Result<(), Error> {
        let change = tokio::select! {
            change = self.changes.next() => change,
            () = self.connection.closed() => None,
        };
        let change = change.ok_or(Error::BusGone)?;
        let args = change.args().map_err(Error::NoBus)?;
        self.running = args.new_owner().is_some();
        Ok(())
    }
}

/// Publishes the services for as long as it is polled. It returns only on an error.
pub(super) async fn publish(
    connection: Connection,
    services: &[Service],
    reach: &Reach,
) -> Result<Infallible, Error> {
    let publications = services.iter().map(|service| async {
        let publication = Publication {
            connection: &connection,
            service,
            reach,
        };
        publication.keep().await
    });
    match try_join_all(publications).await {
        Err(error) => Err(error),
        // Only without services.
        Ok(_) => std::future::pending().await,
    }
}

/// One service in Avahi's care.
struct Publication<'a> {
    connection: &'a Connection,
    service: &'a Service,
    reach: &'a Reach,
}

impl Publication<'_> {
    /// Keeps it published. While Avahi is busy with its own host name, it must not be.
    async fn keep(&self) -> Result<Infallible, Error> {
        let refused = |error| self.refused(error);
        let server = ServerProxy::new(self.connection).await.map_err(refused)?;
        let mut server_changes = server.receive_state_changed().await.map_err(refused)?;
        let group = self.new_group(&server).await.map_err(refused)?;
        let mut group_changes = group.receive_state_changed().await.map_err(refused)?;
        let mut entry = Entry::new(&server, &group, self);

        entry
            .follow_server(server.get_state().await.map_err(refused)?)
            .await?;
        loop {
            tokio::select! {
                change = server_changes.next() => {
                    let change = change.ok_or(Error::BusGone)?;
                    let state = *change.args().map_err(refused)?.state();
                    entry.follow_server(state).await?;
                }
                change = group_changes.next() => {
                    let change = change.ok_or(Error::BusGone)?;
                    let state = *change.args().map_err(refused)?.state();
                    entry.follow_group(state).await?;
                }
            }
        }
    }

    async fn new_group(&self, server: &ServerProxy<'_>) -> zbus::Result<EntryGroupProxy<'static>> {
        let path = server.entry_group_new().await?;
        EntryGroupProxy::new(self.connection, path).await
    }

    fn refused(&self, source: zbus::Error) -> Error {
        Error::Refused {
            name: self.service.name.clone(),
            kind: self.service.kind,
            source,
        }
    }
}

/// What the entry group of a publication holds.
struct Entry<'a> {
    server: &'a ServerProxy<'a>,
    group: &'a EntryGroupProxy<'a>,
    publication: &'a Publication<'a>,
    /// The service's name or, where that is taken, the one that Avahi proposes.
    name: String,
    names_tried: usize,
}

impl<'a> Entry<'a> {
    fn new(
        server: &'a ServerProxy<'a>,
        group: &'a EntryGroupProxy<'a>,
        publication: &'a Publication<'a>,
    ) -> Entry<'a> {
        Entry {
            server,
            group,
            publication,
            name: publication.service.name.clone(),
            names_tried: 1,
        }
    }

    async fn follow_server(&mut self, state: i32) -> Result<(), Error> {
        match state {
            server::RUNNING => self.fill().await,
            server::FAILURE => Err(Error::Failed),
            _ => self.reset().await,
        }
    }

    async fn follow_group(&mut self, state: i32) -> Result<(), Error> {
        match state {
            entry_group::ESTABLISHED => {
                let Service { kind, port, .. } = self.publication.service;
                tracing::info!("Avahi advertises {} ({kind}, port {port})", self.name);
                Ok(())
            }
            entry_group::COLLISION => {
                self.rename().await?;
                self.fill().await
            }
            entry_group::FAILURE => Err(Error::Failed),
            _ => Ok(()),
        }
    }

    /// Has the service announced, under another name if another program here has its name.
    async fn fill(&mut self) -> Result<(), Error> {
        let places = self.publication.reach.places();
        if places.is_empty() {
            return Err(Error::Nowhere);
        }
        loop {
            self.reset().await?;
            match self.add(&places).await {
                Ok(()) => break,
                Err(error) if is_collision(&error) => self.rename().await?,
                Err(error) => return Err(self.publication.refused(error)),
            }
        }
        let committed = self.group.commit().await;
        committed.map_err(|error| self.publication.refused(error))
    }

    async fn add(&self, places: &[Place]) -> zbus::Result<()> {
        let Service { kind, port, .. } = *self.publication.service;
        let txt = self.publication.service.txt_strings();
        for place in places {
            let Place {
                interface,
                protocol,
            } = *place;
            self.group
                .add_service(
                    interface, protocol, NO_FLAGS, &self.name, kind, ITS_OWN, ITS_OWN, port, &txt,
                )
                .await?;
        }
        Ok(())
    }

    async fn rename(&mut self) -> Result<(), Error> {
        self.names_tried += 1;
        if self.names_tried > MOST_NAMES {
            return Err(Error::Taken {
                name: self.publication.service.name.clone(),
            });
        }
        let other = self.server.get_alternative_service_name(&self.name).await;
        self.name = other.map_err(|error| self.publication.refused(error))?;
        Ok(())
    }

    async fn reset(&self) -> Result<(), Error> {
        let reset = self.group.reset().await;
        reset.map_err(|error| self.publication.refused(error))
    }
}

fn is_collision(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(name, ..) if name.as_str() == COLLISION)
}
