//! What `lobar doctor` looks at. No message of Lobar's is touched and no queue is made: permissions are tried
//! out on a queue that lives for a moment, with a name under the same prefix.

use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::tcp::AMQPUriTcpExt as _;
use lapin::types::{FieldTable, ShortString};
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Channel};
use lobar_core::diagnostic::Diagnostic;
use tokio::time::{sleep, timeout};

use super::address::Address;
use super::error::{BrokerError, is_missing};
use super::recovering_connection::{LiveConnection, PATIENCE, Purpose, RecoveringConnection};
use super::topology::Topology;

/// The first release whose quorum queues have a time to live and dead-letter at least once.
const OLDEST: (u32, u32) = (3, 10);
/// How long an alarm may take to show.
const ALARM: Duration = Duration::from_secs(3);

/// Examines the queue that the port `name` (`uploads`, `jobs-stat`, `jobs-routine`) has in `url`.
pub async fn examine(url: &str, name: &str) -> Vec<Diagnostic> {
    let of = |what: &str| format!("{name} queue: {what}");
    let address = match Address::parse(url) {
        Ok(address) => address,
        Err(fault) => {
            return vec![Diagnostic::fault(of("URL"), "cannot be read", fault.to_string())];
        }
    };
    let topology = address.topology(name);
    let link = RecoveringConnection::new(address.uri.clone(), Purpose::Consume);
    let mut checks = Vec::new();
    match link.line().await {
        Ok(line) => {
            checks.push(Diagnostic::good(of("reachable"), "RabbitMQ answers"));
            checks.push(release(&address.uri, of("version")).await);
            checks.push(permissions(&line, &topology, of("permissions")).await);
            checks.extend(queues(&line, &topology, &of).await);
        }
        Err(fault) => {
            let fix = if fault.is_refusal() {
                "correct the user, the password or the virtual host in the URL, or create them: rabbitmqctl \
                 add_user, add_vhost, set_permissions"
            } else {
                "start RabbitMQ, or correct the host and the port in the URL"
            };
            checks.push(Diagnostic::fault(of("reachable"), fault.to_string(), fix));
        }
    }
    link.close().await;
    checks
}

/// The broker introduces itself before anyone has logged in.
async fn release(uri: &AMQPUri, what: String) -> Diagnostic {
    let advice = |found: &str| {
        Diagnostic::advice(
            what.clone(),
            found,
            "make sure that RabbitMQ is 3.10 or newer: rabbitmqctl version",
        )
    };
    let Ok(Ok(introduction)) = timeout(PATIENCE, introduction(uri)).await else {
        return advice("it could not be read");
    };
    let Some(version) = text_field(&introduction, "version") else {
        return advice("the broker does not tell");
    };
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let release = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if release < OLDEST {
        let fix = "install RabbitMQ 3.10 or newer: delays need quorum queues with a time to live";
        return Diagnostic::fault(what, version, fix);
    }
    Diagnostic::good(what, version)
}

async fn introduction(uri: &AMQPUri) -> std::io::Result<Vec<u8>> {
    let runtime = lapin::runtime::default_runtime().map_err(std::io::Error::other)?;
    let mut stream = uri.connect_async(&runtime).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    // One frame: its kind, its channel, its length, then that many bytes and a last one.
    loop {
        let count = stream.read(&mut piece).await?;
        read.extend_from_slice(&piece[..count]);
        let length = read.get(3..7).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let whole = length.is_some_and(|length| read.len() >= length as usize + 8);
        if count == 0 || whole || read.len() > 64 << 10 {
            return Ok(read);
        }
    }
}

/// A text in a table of AMQP: the length of its name, its name, `S`, its length, and itself.
fn text_field(bytes: &[u8], name: &str) -> Option<String> {
    let mut key = vec![u8::try_from(name.len()).ok()?];
    key.extend_from_slice(name.as_bytes());
    key.push(b'S');
    let at = bytes.windows(key.len()).position(|window| window == key)? + key.len();
    let length = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
    String::from_utf8(bytes.get(at + 4..at + 4 + length)?.to_vec()).ok()
}

async fn permissions(line: &LiveConnection, topology: &Topology, what: String) -> Diagnostic {
    let fix = format!(
        "allow the user everything under the names of the queues: rabbitmqctl set_permissions -p VHOST \
         USER '^{0}' '^({0}|amq\\.default)' '^{0}'",
        topology.main.split('.').next().unwrap_or_default()
    );
    match timeout(PATIENCE + ALARM, try_out(line, topology)).await {
        Ok(Ok(())) => Diagnostic::good(what, "declare, bind, publish and receive"),
        Ok(Err(fault)) if fault.is_refusal() => Diagnostic::fault(what, fault.to_string(), fix),
        Ok(Err(fault)) => Diagnostic::fault(what, fault.to_string(), "free memory or disk there"),
        Err(_) => Diagnostic::fault(what, "no answer in time", "see RabbitMQ's log"),
    }
}

/// Does once what the adapter does all the time.
async fn try_out(line: &LiveConnection, topology: &Topology) -> Result<(), BrokerError> {
    let said = |error: lapin::Error| BrokerError::of(&error);
    let channel = line.channel().await?;
    let name = ShortString::from(format!("{}.doctor.{:08x}", topology.main, rand::random::<u32>()));
    let fleeting = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let none = FieldTable::default;
    channel.queue_declare(name.clone(), fleeting, none()).await.map_err(said)?;
    if let Some(binding) = &topology.binding {
        let options = QueueBindOptions::default();
        let bound = channel.queue_bind(
            name.clone(),
            binding.exchange.as_str().into(),
            name.clone(),
            options,
            none(),
        );
        match bound.await {
            Err(error) if is_missing(&error) => {
                return Err(BrokerError::permanent(format!(
                    "exchange `{}` does not exist",
                    binding.exchange
                )));
            }
            bound => bound.map_err(said)?,
        }
    }
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(said)?;
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let sent = channel
        .basic_publish("".into(), name.clone(), options, b"doctor", BasicProperties::default())
        .await
        .map_err(said)?;
    let alarm = async {
        sleep(ALARM).await;
        while !line.connection.status().blocked() {
            sleep(ALARM / 10).await;
        }
    };
    tokio::select! {
        confirmed = sent => drop(confirmed.map_err(said)?),
        () = alarm => return Err(BrokerError::transient("an alarm is on: the broker takes no messages")),
    }
    channel.basic_get(name, BasicGetOptions { no_ack: true }).await.map_err(said)?;
    let _ = channel.close(200, "done".into()).await;
    Ok(())
}

async fn queues(
    line: &LiveConnection,
    topology: &Topology,
    of: &impl Fn(&str) -> String,
) -> Vec<Diagnostic> {
    let mut checks = Vec::new();
    let (mut missing, mut right) = (Vec::new(), 0);
    let mut dead = None;
    for (name, arguments) in topology.queues() {
        match state(line, &name, arguments).await {
            Ok(None) => missing.push(name),
            Ok(Some(count)) => {
                right += 1;
                if name == topology.dead {
                    dead = Some(count);
                }
            }
            Err(fault) => {
                let fix = "drain and delete that queue, or choose other names with `?prefix=`";
                checks.push(Diagnostic::fault(of("arguments"), fault.to_string(), fix));
            }
        }
    }
    if checks.is_empty() && missing.is_empty() {
        checks.push(Diagnostic::good(of("queues"), format!("{right}, as they should be")));
    } else if let Some(first) = missing.first() {
        let found = format!("{} are missing, `{first}` among them", missing.len());
        checks.push(Diagnostic::advice(
            of("queues"),
            found,
            "nothing: they are declared at the next start",
        ));
    }
    match dead {
        Some(0) => checks.push(Diagnostic::good(of("dead letters"), "none")),
        Some(count) => {
            let fix = format!(
                "look at what is in `{}` (header lobar-reason or x-death), then move it back or purge it",
                topology.dead
            );
            checks.push(Diagnostic::advice(of("dead letters"), format!("{count} messages"), fix));
        }
        None => {}
    }
    checks
}

/// How many messages a queue holds; `None` where it does not exist. An error where it has other arguments.
async fn state(
    line: &LiveConnection,
    name: &str,
    arguments: FieldTable,
) -> Result<Option<u64>, BrokerError> {
    let passive = QueueDeclareOptions { passive: true, durable: true, ..Default::default() };
    let ask = async |channel: Channel, options, arguments| {
        let asked = timeout(PATIENCE, channel.queue_declare(name.into(), options, arguments)).await;
        asked.map_err(|_| BrokerError::slow("looking at a queue"))
    };
    match ask(line.channel().await?, passive, FieldTable::default()).await? {
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(BrokerError::of(&error)),
        Ok(_) => {}
    }
    // It exists, so that declaring it only compares.
    match ask(line.channel().await?, QueueDeclareOptions::durable(), arguments).await? {
        Ok(queue) => Ok(Some(queue.message_count().into())),
        Err(error) => Err(BrokerError::of(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_introduction_is_found_by_its_name() {
        let bytes = b"..\x07versionS\x00\x00\x00\x063.10.8\x08platform";
        assert_eq!(text_field(bytes, "version").as_deref(), Some("3.10.8"));
        assert_eq!(text_field(bytes, "product"), None);
        assert_eq!(text_field(b"\x07versionS\x00\x00\xff", "version"), None);
    }
}
