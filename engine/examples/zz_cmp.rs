use std::sync::Arc;use std::time::Instant;use bytes::Bytes;use engine::env::Env;use engine::ids::Revision;use engine::store::*;
fn rss()->u64{let s=std::fs::read_to_string("/proc/self/statm").unwrap();s.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()*4096}
fn du(p:&std::path::Path)->u64{std::fs::read_dir(p).unwrap().map(|e|{let e=e.unwrap();if e.file_type().unwrap().is_dir(){du(&e.path())}else{e.metadata().unwrap().len()}}).sum()}
fn main(){
 let kind:StoreKind=std::env::args().nth(1).unwrap().parse().unwrap();
 let n:u64=std::env::args().nth(2).unwrap().parse().unwrap();
 let dir=tempfile::tempdir_in("/work/targets/sled").unwrap();let path=dir.path().join("s");let env=Env::os();
 let blocks=BlockCache::new(32<<20);
 let o=||StoreOptions::default();
 let s:Arc<dyn Store>=Arc::from(open(kind,&env,&path,o(),blocks.clone()).unwrap());
 let stop=std::sync::atomic::AtomicBool::new(false);
 let mut x=88172645463325252u64; let mut rnd=||{x^=x<<13;x^=x>>7;x^=x<<17;x};
 let perm=|i:u64|i.wrapping_mul(0x9E3779B97F4A7C15);
 let mut rev=0u64;
 std::thread::scope(|t|{
  t.spawn(||while !stop.load(std::sync::atomic::Ordering::Relaxed){if !s.flush().unwrap(){std::thread::sleep(std::time::Duration::from_millis(2))}});
  t.spawn(||while !stop.load(std::sync::atomic::Ordering::Relaxed){if !s.compact_step(Revision(0)).unwrap(){std::thread::sleep(std::time::Duration::from_millis(2))}});
  for round in 0..2{ let t0=Instant::now();
   for b in 0..n/64{ rev+=1; let w:Vec<RowWrite>=(0..64).map(|k|{let i=b*64+k;let mut v=vec![0u8;128];for c in v.chunks_mut(8){c.copy_from_slice(&rnd().to_le_bytes())}
     let mut key=perm(i).to_be_bytes().to_vec();key.extend_from_slice(&i.to_be_bytes());
     RowWrite{key:key.into(),value:Some(NewRow{value:v.into(),create_revision:Revision(1),version:1})}}).collect();
    s.write(Revision(rev),&w,&[]).unwrap();
    if s.memtable_bytes()>=16<<20{while s.stalled(){std::thread::sleep(std::time::Duration::from_millis(1))} s.freeze(Bytes::from(rev.to_le_bytes().to_vec()))}
   }
   println!("{kind} round {round}: {:.0} kops/s",n as f64/t0.elapsed().as_secs_f64()/1e3);
  }
  s.freeze(Bytes::from_static(b"end"));
  while s.stats().frozen>0{std::thread::sleep(std::time::Duration::from_millis(2))}
  std::thread::sleep(std::time::Duration::from_millis(500));
  stop.store(true,std::sync::atomic::Ordering::Relaxed);
 });
 let g=n/4;let t0=Instant::now();for _ in 0..g{let i=rnd()%(n/64*64);let mut key=perm(i).to_be_bytes().to_vec();key.extend_from_slice(&i.to_be_bytes());assert!(s.get(&key,Revision(u64::MAX)).unwrap().is_some());}
 println!("{kind} get {:.0} k/s",g as f64/t0.elapsed().as_secs_f64()/1e3);
 let t0=Instant::now();let sc=3000;for _ in 0..sc{let i=rnd();let r=KeyRange{start:i.to_be_bytes().to_vec().into(),end:None};let c=s.scan(r,Revision(u64::MAX),false).unwrap().take(100).count();assert!(c<=100);}
 println!("{kind} scans {:.0} /s",sc as f64/t0.elapsed().as_secs_f64());
 println!("{kind} rss {} MB",rss()/1000000);
 let t0=Instant::now();drop(s);println!("{kind} end {:.2} s; disk {} MB, of it sled {} MB",t0.elapsed().as_secs_f64(),du(&path)/1000000,if path.join("sled").exists(){du(&path.join("sled"))/1000000}else{0});
 let t0=Instant::now();let s=open(kind,&env,&path,o(),blocks.clone()).unwrap();println!("{kind} clean open {:.2} s",t0.elapsed().as_secs_f64());
 std::mem::forget(s);
 let t0=Instant::now();let s=open(kind,&env,&path,o(),blocks).unwrap();println!("{kind} open after a crash {:.2} s",t0.elapsed().as_secs_f64());
 assert_eq!(s.scan(KeyRange::all(),Revision(u64::MAX),false).unwrap().count() as u64,n/64*64);
}
