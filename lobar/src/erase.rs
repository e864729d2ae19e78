//! `lobar erase`: erases images for good, directly on the configured store and bucket. The bucket must be reachable: with
//! the embedded S3 endpoint, Lobar must run.

use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lobar_console::{noteln, outln};
use lobar_core::access::SiteName;
use lobar_core::erasure::{Erased, ErasureOrder, ErasurePorts, ObjectSelector};
use lobar_core::failure::PortError;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::Store;
use lobar_core::study::PatientId;
use lobar_core::time::SystemClock;
use lobar_opener::Opener;
use serde_json::json;

use crate::cli::{Erase, EraseArgs, Service};
use crate::failure::{Failure, chain};
use crate::on_record;
use crate::registry::refuse_nowhere;
use crate::service::{failed, opener, roles};
use crate::settings::Settings;

/// How long slower processes are kept from putting back what they read before.
const FORGOTTEN: Duration = Duration::from_secs(3 * 60);

/// The ports of the command.
struct Open {
    store: Arc<dyn Store>,
    ports: ErasurePorts,
}

/// What is to be erased.
#[derive(Default)]
struct Found {
    objects: Vec<ObjectVersion>,
    /// Ids of nothing that is known.
    unknown: u64,
}

/// Runs one command.
pub async fn run(command: Erase) -> Result<(), Failure> {
    let service = match &command {
        Erase::Image { erase, .. } | Erase::Patient { erase, .. } | Erase::Keys { erase, .. } => {
            &erase.service
        }
        Erase::Resume { service, .. } => service,
    };
    let Service { given, config } = service;
    let settings = Settings::load(given.clone(), config.clone())?;
    refuse_nowhere(&settings.store)?;
    let opener = opener(&settings, Arc::new(SystemClock));
    let done = carry_out(&command, &settings, &opener).await;
    opener.close().await;
    done
}

/// The folder of urgent images, below a site's.
const STAT: &str = "stat/";

async fn carry_out(command: &Erase, settings: &Settings, opener: &Opener) -> Result<(), Failure> {
    let database = opener.database("store", &settings.store).await.map_err(failed)?;
    let objects = roles::objects(settings, settings.embedded_s3()).await?;
    let ports = ErasurePorts { erasures: database.clone(), objects };
    let open = Open { store: database, ports };
    let (found, args) = match command {
        Erase::Image { ids, erase } => {
            let ids: Vec<ImageId> = ids.iter().copied().map(ImageId).collect();
            (by_id(&open, &ids).await?, erase)
        }
        Erase::Patient { site, patient_id, issuer, key_prefix, erase } => {
            let site: SiteName =
                site.parse().map_err(|why| Failure::usage(format!("--site: {why}")))?;
            let found = match (patient_id, key_prefix) {
                (Some(id), _) => {
                    let id = PatientId { issuer: issuer.clone(), id: id.clone() }.bounded();
                    of_patient(&open, site, id).await?
                }
                (None, prefix) => {
                    below(&open, &site, prefix.as_deref().unwrap_or_default()).await?
                }
            };
            (found, erase)
        }
        Erase::Keys { file, erase } => (by_key(&open, &lines(file)?).await?, erase),
        Erase::Resume { json, .. } => {
            let done = open.ports.finish().await.map_err(port)?;
            return told(&Found::default(), &done, false, *json);
        }
    };
    let found = Found { objects: distinct(found.objects), ..found };
    if args.dry_run {
        return told(&found, &Erased::default(), true, args.json);
    }
    if found.objects.is_empty() {
        // What was asked for before may still wait.
        let done = open.ports.finish().await.map_err(port)?;
        return told(&found, &done, false, args.json);
    }
    confirm(args, &found)?;
    let order = ErasureOrder {
        reason: args.reason,
        actor: on_record::actor(),
        role: None,
        request: None,
        detail: json!({ "by": args.by, "os_user": on_record::os_user() }),
    };
    let done = open.ports.erase(&found.objects, &order).await;
    forget(settings, opener, &open, &found).await;
    let done = done.map_err(|error| {
        Failure::failed(format!(
            "{}; what was begun is not shown any more, and `lobar erase resume` goes on with it",
            chain(&error)
        ))
    })?;
    told(&found, &done, false, args.json)
}

/// What begins the folder of urgent images, too, is no patient's.
fn check_prefix(prefix: &str) -> Result<(), Failure> {
    if prefix.is_empty() {
        return Err(Failure::usage("--key-prefix is empty: that would be the whole site"));
    }
    if STAT.starts_with(prefix) {
        return Err(Failure::usage(
            "--key-prefix is the beginning of `stat/`: that would be every urgent image of the site",
        ));
    }
    Ok(())
}

/// What begins so, urgent or not.
async fn below(open: &Open, site: &SiteName, key_prefix: &str) -> Result<Found, Failure> {
    check_prefix(key_prefix)?;
    let mut found = Found::default();
    for folder in ["", STAT] {
        let prefix = format!("incoming/{}/{folder}{key_prefix}", site.as_str());
        found.objects.extend(open.ports.below(&prefix).await.map_err(port)?);
    }
    Ok(found)
}

/// Images of a patient, each with every version of its key.
async fn of_patient(open: &Open, site: SiteName, id: PatientId) -> Result<Found, Failure> {
    if id.id.is_empty() {
        return Err(Failure::usage("--patient-id is empty, too long, or has control characters"));
    }
    let which = ObjectSelector::Patient { site, id };
    let objects = open.ports.erasures.find(&which, None, usize::MAX).await.map_err(port)?;
    let mut found = Found::default();
    for object in objects {
        found.objects.extend(of_key(open, (&object.bucket, &object.key)).await?);
    }
    Ok(found)
}

/// Images that are there and the others of their instances, each with every version of its key.
async fn by_id(open: &Open, ids: &[ImageId]) -> Result<Found, Failure> {
    let mut found = Found::default();
    for id in ids {
        match open.store.image(*id).await.map_err(port)? {
            Some(image) => {
                let key = (&*image.object.bucket, &*image.object.key);
                // First, so that an interrupted command finds them again by the image.
                let which = ObjectSelector::Instance(*id);
                let others = open.ports.erasures.find(&which, None, usize::MAX).await;
                for other in others.map_err(port)? {
                    found.objects.extend(of_key(open, (&other.bucket, &other.key)).await?);
                }
                found.objects.extend(of_key(open, key).await?);
            }
            None if open.ports.erasures.tombstone(*id).await.map_err(port)?.is_some() => {}
            None => found.unknown += 1,
        }
    }
    Ok(found)
}

async fn by_key(open: &Open, keys: &[String]) -> Result<Found, Failure> {
    let mut found = Found::default();
    let bucket = open.ports.objects.bucket().to_owned();
    for key in keys {
        let versions = of_key(open, (&bucket, key)).await?;
        found.unknown += u64::from(versions.is_empty());
        found.objects.extend(versions);
    }
    Ok(found)
}

/// Every version of a key, known to the store or only to the bucket.
async fn of_key(open: &Open, (bucket, key): (&str, &str)) -> Result<Vec<ObjectVersion>, Failure> {
    let which = ObjectSelector::Key { bucket: bucket.into(), key: key.into() };
    let known = open.ports.erasures.find(&which, None, usize::MAX).await.map_err(port)?;
    let listed = open.ports.versions_of(bucket, key).await.map_err(port)?;
    Ok(known.into_iter().chain(listed.into_iter().map(|one| one.object)).collect())
}

/// Each image once, the first of several: what the store knows has a sequencer.
fn distinct(objects: Vec<ObjectVersion>) -> Vec<ObjectVersion> {
    let mut seen = BTreeSet::new();
    objects.into_iter().filter(|object| seen.insert(object.id())).collect()
}

/// Takes rendered answers out of the cache, and has pages look.
async fn forget(settings: &Settings, opener: &Opener, open: &Open, found: &Found) {
    let told = async {
        let position = open.store.newest_position().await?;
        let images: Vec<_> = found.objects.iter().map(|object| (object.id(), position)).collect();
        if let Ok(Some(cache)) = opener.cache("signal", &settings.signal) {
            cache.forget(&images, FORGOTTEN).await?;
        }
        match opener.signal("signal", &settings.signal) {
            Ok(signal) => signal.publish().await,
            Err(_) => Ok(()),
        }
    };
    if let Err(error) = told.await {
        noteln!(
            "lobar: the api was not told ({}); it sees the events within seconds",
            chain(&error)
        );
    }
}

fn lines(file: &Path) -> Result<Vec<String>, Failure> {
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(drop),
        _ => std::fs::read_to_string(file).map(|read| text = read),
    };
    read.map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn confirm(args: &EraseArgs, found: &Found) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("nobody can be asked here: give --yes, or --dry-run to count"));
    }
    noteln!(
        "{} images are erased for good, with all versions of their objects.",
        found.objects.len()
    );
    noteln!("Type `erase` to go on:");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(Failure::failed)?;
    match answer.trim() {
        "erase" => Ok(()),
        _ => Err(Failure::failed("nothing was erased")),
    }
}

/// Says what was done. Keys are not printed: they are personal.
fn told(found: &Found, done: &Erased, dry_run: bool, as_json: bool) -> Result<(), Failure> {
    let (versions, unknown) = (found.objects.len(), found.unknown);
    let (images, gone, refused) = (done.images.len(), done.gone, done.refused);
    if as_json {
        let all = json!({ "dry_run": dry_run, "found": versions, "unknown": unknown, "erased": images,
            "gone": gone, "refused": refused });
        outln!("{all}");
    } else if dry_run {
        outln!("{versions} versions of objects would be erased, with what is known of them");
    } else {
        outln!("{images} images erased, {gone} versions of objects gone from the bucket");
    }
    if refused > 0 {
        return Err(Failure::failed(format!(
            "the bucket refuses to delete {refused} versions: they are not shown any more, but they are there. Allow \
             s3:DeleteObjectVersion, and see whether MFA delete, an object lock or a legal hold keeps them; then \
             `lobar erase resume`"
        )));
    }
    match unknown {
        0 => Ok(()),
        unknown => {
            Err(Failure::failed(format!("{unknown} of what was asked for is not known here")))
        }
    }
}

fn port(error: PortError) -> Failure {
    Failure::failed(chain(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_every_urgent_image_is_no_patients() {
        for prefix in ["", "s", "st", "sta", "stat", "stat/"] {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
        for prefix in ["7/", "smith", "state", "stat/7/", "Stat"] {
            assert!(check_prefix(prefix).is_ok(), "{prefix}");
        }
    }
}
