//! Console commands on devices and Volumes, changers, block formats.

use crate::site::Site;
use crate::site::client::{Client, TestFile, files};
use crate::site::director::{Catalog, Director, Heard};

pub(crate) fn ask(director: &mut Director, command: &str) -> String {
    director.send(command);
    director.lines()
}

pub(crate) fn back_up(
    site: &Site,
    catalog: &Catalog,
    id: u32,
    device: &str,
    pool: &str,
    files: &[TestFile],
) -> Heard {
    let mut heard = Heard::default();
    let mut director = Director::stock(site.port, catalog);
    let name = format!("J.{id}");
    let (_, _, key) = director.start_job(id, &name, 'B');
    let answer = director.use_named(&mut heard, true, device, pool);
    assert!(answer.starts_with("3000 OK use device"), "{answer}");
    director.send("run");
    let client = Client::connect(site.port, &name, &key);
    std::thread::scope(|scope| {
        scope.spawn(|| client.back_up(files));
        director.until_end(&mut heard);
    });
    heard
}

#[test]
fn a_volume_is_labelled_once_used_and_truncated() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let mut console = Director::stock(site.port, &catalog);
    let label = "label Dev VolumeName=V-0001 PoolName=P MediaType=File Slot=0 drive=-1";
    let answer = ask(&mut console, label);
    assert!(answer.starts_with("3000 OK label. VolBytes="), "{answer}");
    assert!(
        answer.contains(" VolType=1 UseProtect=0 VolEncrypted=0 Volume=\"V-0001\" Device=\"Dev\" ("),
        "{answer}"
    );
    let answer = ask(&mut console, label);
    assert_eq!(answer, "3920 Cannot label Volume because it is already labeled: \"V-0001\"\n");
    let answer = ask(&mut console, "label Dev VolumeName=.. PoolName=P MediaType=File Slot=0 drive=-1");
    assert!(answer.starts_with("3912 Failed to label Volume"), "{answer}");
    let answer = ask(&mut console, "label Nope VolumeName=X PoolName=P MediaType=File Slot=0 drive=-1");
    assert_eq!(answer, "3999 Device \"Nope\" not found or could not be opened.\n");

    let heard = back_up(&site, &catalog, 1, "Dev", "P", &files(5, 5000, 1));
    assert_eq!(heard.end_field("JobStatus"), 84);
    assert!(heard.messages().contains("Wrote label to prelabeled Volume \"V-0001\""), "{}", heard.messages());
    let answer = ask(&mut console, "readlabel Dev Slot=0 drive=-1\n");
    assert_eq!(answer, "3001 Volume=V-0001 Slot=0\n");
    let truncate = "relabel Dev OldName=V-0001 NewName=V-0001 PoolName=P MediaType=File Slot=0 drive=-1";
    let answer = ask(&mut console, truncate);
    assert!(answer.starts_with("3000 OK label."), "{answer}");
    assert!(std::fs::metadata(site.volume("V-0001")).unwrap().len() < 300);
    let rename = "relabel Dev OldName=V-0001 NewName=V-0099 PoolName=P MediaType=File Slot=0 drive=-1";
    let answer = ask(&mut console, rename);
    assert!(answer.contains("Volume=\"V-0099\""), "{answer}");
    assert!(site.volume("V-0099").exists() && !site.volume("V-0001").exists());
}

#[test]
fn an_unmounted_device_is_left_alone_until_it_is_mounted() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let mut console = Director::stock(site.port, &catalog);
    assert!(ask(&mut console, "unmount Dev drive=-1 slot=0\n").ends_with(" unmounted.\n"));
    assert!(ask(&mut console, "unmount Dev drive=-1 slot=0\n").starts_with("3901 "));
    assert!(ask(&mut console, "status").contains("Device is BLOCKED. User unmounted."));
    let set = files(3, 100, 1);
    let heard = std::thread::scope(|scope| {
        let job = scope.spawn(|| back_up(&site, &catalog, 1, "Dev", "P", &set));
        crate::site::eventually("the job waits", || {
            ask(&mut console, "status").contains("3604 device \"Dev\"")
        });
        assert!(ask(&mut console, "mount Dev drive=-1 slot=0").starts_with("3002 Device"));
        job.join().unwrap()
    });
    assert_eq!(heard.end_field("JobStatus"), 84);
    assert!(ask(&mut console, "mount Dev drive=-1 slot=0").starts_with("3001 Mounted Volume: V-0001\n"));
    assert!(ask(&mut console, "release Dev drive=-1 slot=0\n").starts_with("3022 Device"));
    assert!(ask(&mut console, "mount Dev drive=-1 slot=0").starts_with("3906 File device"));
    assert!(ask(&mut console, "disable Dev drive=-1 slot=0\n").ends_with(" disabled.\n"));
    let mut director = Director::stock(site.port, &catalog);
    director.start_job(2, "J.2", 'B');
    let answer = director.use_device(&mut Heard::default(), true);
    assert!(answer.starts_with("3924 Device \"Dev\" not in SD Device resources"), "{answer}");
    assert!(ask(&mut console, "enable Dev drive=-1 slot=0\n").ends_with(" enabled.\n"));
}

#[test]
fn small_commands_answer_as_bacula_does() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start(dir.path(), "");
    let catalog = Catalog::default();
    let mut console = Director::stock(site.port, &catalog);
    let answer = ask(&mut console, "setdebug=5 trace=0 hangup=0 blowup=0 options= tags=\n");
    assert_eq!(answer, "3000 OK setdebug=5 trace=0 options= tags=\n");
    assert_eq!(ask(&mut console, "cancel Job=Nope.1\n"), "3904 Job Nope.1 not found.\n");
    assert_eq!(ask(&mut console, "autochanger drives Dev\n"), "3998 Device \"Dev\" is not an autochanger.\n");
    assert!(
        ask(&mut console, "statistics all format=full\n").contains("bacula.storage.sd.config.devices=1\n")
    );
    assert!(ask(&mut console, ".status header api=2 api_opts= ").contains("name=sd\n"));
    assert!(
        ask(&mut console, ".status nonsense api=2 api_opts= ")
            .starts_with("3900 Unknown arg in .status command")
    );
    console.send("nonsense\n");
    assert_eq!(console.line(), "3900 Invalid command:\n");
}

const CHANGER: &str = "Drive Index = 0; Autochanger = yes }\n\
    Device { Name = Dev2; Media Type = File; Archive Device = \"@vol@\"; Label Media = yes; Random Access = yes; Automatic Mount = yes; \
    Removable Media = no; Drive Index = 1; Autochanger = yes }\n\
    Autochanger { Name = Chg; Device = Dev, Dev2; Changer Command = \"\"; Changer Device = /dev/null";

#[test]
fn two_pools_run_at_once_on_the_drives_of_a_virtual_changer() {
    let dir = tempfile::tempdir().unwrap();
    let changer = CHANGER.replace("@vol@", &dir.path().join("vol").display().to_string());
    let site = Site::start(dir.path(), &changer);
    let catalog = Catalog::default();
    let mut console = Director::stock(site.port, &catalog);
    assert_eq!(ask(&mut console, "autochanger drives Chg\n"), "drives=2\n");
    let set = files(20, 20_000, 1);
    // Both have their drive before either writes: one that came later would go on where the first has ended.
    let mut jobs = [(1, "J.1", "A"), (2, "J.2", "B")].map(|(id, name, pool)| {
        let (mut director, mut heard) = (Director::ours(site.port, &catalog, 1), Heard::default());
        let (_, _, key) = director.start_job(id, name, 'B');
        assert!(director.use_named(&mut heard, true, "Chg", pool).starts_with("3000 OK use device"));
        (director, heard, name, key)
    });
    std::thread::scope(|scope| {
        for (director, heard, name, key) in &mut jobs {
            director.send("run");
            let client = Client::connect(site.port, name, key);
            let set = &set;
            scope.spawn(move || client.back_up(set));
            scope.spawn(move || director.until_end(heard));
        }
    });
    for (_, heard, ..) in jobs {
        assert_eq!(heard.end_field("JobStatus"), 84, "{}", heard.messages());
    }
    assert_eq!(catalog.names().len(), 2);
}

#[test]
fn a_volume_that_one_drive_is_about_to_write_is_not_given_to_another() {
    let dir = tempfile::tempdir().unwrap();
    let changer = CHANGER.replace("@vol@", &dir.path().join("vol").display().to_string());
    let site = Site::start(dir.path(), &changer);
    let catalog = Catalog::default();
    let set = files(3, 100, 1);
    let mut heard = Heard::default();
    let mut slow = Director::ours(site.port, &catalog, 1);
    let (_, _, key) = slow.start_job(1, "J.1", 'B');
    assert!(slow.use_named(&mut heard, true, "Dev", "P").starts_with("3000 OK use device"));
    slow.ack = false;
    slow.send("run");
    let client = Client::connect(site.port, "J.1", &key);
    std::thread::scope(|scope| {
        scope.spawn(|| client.back_up(&set));
        slow.until(&mut heard, |h| h.texts().iter().any(|t| t.contains(" GetVolInfo VolName=V-0001 ")));
        let mut other = Director::ours(site.port, &catalog, 1);
        let mut beside = Heard::default();
        let (_, _, key) = other.start_job(2, "J.2", 'B');
        assert!(other.use_named(&mut beside, true, "Dev2", "P").starts_with("3000 OK use device"));
        other.send("run");
        let client = Client::connect(site.port, "J.2", &key);
        scope.spawn(|| client.back_up(&set));
        other.until_end(&mut beside);
        assert_eq!(beside.end_field("JobStatus"), 84, "{}", beside.messages());
        assert!(beside.job_media()[0].contains(" V-0002 "), "{:?}", beside.job_media());
        slow.answer(&heard);
        slow.until_end(&mut heard);
    });
    assert_eq!(heard.end_field("JobStatus"), 84, "{}", heard.messages());
    assert!(heard.job_media()[0].contains(" V-0001 "), "{:?}", heard.job_media());
}

#[test]
fn volumes_are_written_in_the_format_of_15_where_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start_with(dir.path(), "", "Volume Format = BB03");
    let catalog = Catalog::default();
    let heard = back_up(&site, &catalog, 1, "Dev", "P", &files(20, 20_000, 1));
    assert_eq!(heard.end_field("JobStatus"), 84);
    let bytes = std::fs::read(site.volume("V-0001")).unwrap();
    let mut reader = volume::VolumeReader::new(bytes, volume::Verify::Checksum);
    loop {
        match reader.next_block().unwrap() {
            volume::VolumeBlock::End => break,
            volume::VolumeBlock::Damage(damage) => panic!("{damage:?}"),
            volume::VolumeBlock::Block { block, .. } => {
                assert_eq!(block.header.version, volume::BlockVersion::Bb03);
                assert_eq!(block.header.options, volume::block::options::CHECKSUM);
            }
        }
    }
}
