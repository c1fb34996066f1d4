//! The metrics of the agent: what they are, and their values.

use pcp_proto::{
    Descriptor, InDom, Instance, PmId, Semantics, Status, Units, ValueBlock, ValueType, Values,
};

use crate::containers::{Container, Containers};

/// A metric. All have the same instance domain, the containers.
#[derive(Debug)]
pub(super) struct Metric {
    item: u16,
    value_type: ValueType,
    semantics: Semantics,
    pub(super) one_line: &'static str,
    pub(super) help: &'static str,
    value: fn(&Container, &Containers) -> Option<Value>,
}

enum Value {
    Number(u32),
    Text(String),
}

/// The serial number of the only instance domain, and the cluster of all metrics.
const CONTAINERS: u32 = 0;
const CLUSTER: u16 = 0;

pub(super) const DOMAIN_ONE_LINE: &str = "containers known to the engines of this host";
pub(super) const DOMAIN_HELP: &str = "\
One instance for each container that Docker, LXC, Podman, containerd, CRI-O or
systemd-nspawn knows. An instance is named by what identifies the container to
its engine: a long hexadecimal number, or its name where the engine has nothing
else.";

const METRICS: [Metric; 7] = [
    Metric {
        item: 0,
        value_type: ValueType::STRING,
        semantics: Semantics::DISCRETE,
        one_line: "the engine that runs the container, such as docker",
        help: "\
What created the container and runs it: docker, lxc, podman, containerd, crio or
systemd-nspawn.",
        value: |container, _| Some(Value::Text(container.engine.to_owned())),
    },
    Metric {
        item: 1,
        value_type: ValueType::STRING,
        semantics: Semantics::INSTANT,
        one_line: "what people call the container",
        help: "\
The name of the container for people, as given to it or made up by its engine.
It is a question mark for a container of which only its identifier is known.",
        value: |container, _| {
            let name = match container.name.as_str() {
                "" => "?",
                name => name,
            };
            Some(Value::Text(name.to_owned()))
        },
    },
    Metric {
        item: 2,
        value_type: ValueType::U32,
        semantics: Semantics::INSTANT,
        one_line: "the first process in the container, as the host numbers it",
        help: "\
The number by which the host knows the process that is number one inside the
container. There is no value while nothing runs in it.",
        value: |container, _| container.pid().map(Value::Number),
    },
    Metric {
        item: 3,
        value_type: ValueType::U32,
        semantics: Semantics::INSTANT,
        one_line: "1 while the container runs, otherwise 0",
        help: "Whether the container runs. One that is paused runs, too.",
        value: |container, _| Some(Value::Number(container.is_running().into())),
    },
    Metric {
        item: 4,
        value_type: ValueType::U32,
        semantics: Semantics::INSTANT,
        one_line: "1 while the container is paused, otherwise 0",
        help: "Whether all processes of the container are stopped until it is resumed.",
        value: |container, containers| Some(Value::Number(containers.is_paused(container).into())),
    },
    Metric {
        item: 5,
        value_type: ValueType::U32,
        semantics: Semantics::INSTANT,
        one_line: "1 while the container is being started again, otherwise 0",
        help: "Whether the container has ended and its engine is about to start it again.",
        value: |container, _| Some(Value::Number(container.restarting.into())),
    },
    Metric {
        item: 6,
        value_type: ValueType::STRING,
        semantics: Semantics::DISCRETE,
        one_line: "the control group that holds the container",
        help: "\
The path of the container's control group, from the root of the hierarchy on.
There is no value while nothing runs in the container.",
        value: |container, _| {
            container
                .pid()
                .map(|_| Value::Text(container.cgroup.clone()))
        },
    },
];

/// The instance domain of all metrics.
pub(super) fn indom(domain: u16) -> InDom {
    InDom::new(domain, CONTAINERS)
}

/// The metric with this identifier.
pub(super) fn metric(pmid: PmId, domain: u16) -> Option<&'static Metric> {
    METRICS
        .iter()
        .find(|metric| PmId::new(domain, CLUSTER, metric.item) == pmid)
}

impl Metric {
    pub(super) fn descriptor(&self, domain: u16) -> Descriptor {
        Descriptor {
            pmid: PmId::new(domain, CLUSTER, self.item),
            value_type: self.value_type,
            indom: indom(domain),
            semantics: self.semantics,
            units: Units::NONE,
        }
    }

    /// The values for all containers that are wanted.
    pub(super) fn values(
        &self,
        containers: &Containers,
        wants: impl Fn(Instance) -> bool,
    ) -> Values {
        let (mut numbers, mut texts) = (Vec::new(), Vec::new());
        for (number, container) in containers.all() {
            let instance = Instance(number);
            if !wants(instance) {
                continue;
            }
            match (self.value)(container, containers) {
                Some(Value::Number(number)) => numbers.push((instance, number)),
                Some(Value::Text(text)) => {
                    texts.extend(ValueBlock::string(&text).map(|block| (instance, block)));
                }
                None => {}
            }
        }
        match (numbers.is_empty(), texts.is_empty()) {
            (false, _) => Values::InSitu(numbers),
            (true, false) => Values::Blocks(texts),
            (true, true) => Values::Missing(Status::OK),
        }
    }
}
