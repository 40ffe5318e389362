import {readFileSync,writeFileSync} from "node:fs"; import {glueFunction} from "./glue.mjs"; import {visit} from "./profile/visit.mjs"; import {parse,importedFunctions} from "./wasm/module.mjs"; import {split} from "./wasm/split.mjs"; import {execFileSync} from "node:child_process"; import {Reader} from "./wasm/binary.mjs";
const d="/work/main/target/wasm-bindgen/release/";
const feats=["bulk-memory","multivalue","mutable-globals","nontrapping-float-to-int","reference-types","sign-ext"].map(f=>"--enable-"+f);
const prog=async(n)=>{ execFileSync("node",["node_modules/binaryen/bin/wasm-opt","-Oz","-g",...feats,d+n+"_bg.wasm","-o","/tmp/"+n+"-named.wasm"]); return {glue:await glueFunction(d+n+".js"),bytes:readFileSync("/tmp/"+n+"-named.wasm")}};
const names=(bytes)=>{const r=new Reader(bytes,8); while(!r.isAtEnd){const id=r.byte(); const s=new Reader(r.sized()); if(id===0&&s.name()==="name"){while(!s.isAtEnd){const sub=s.byte(); const c=new Reader(s.sized()); if(sub===1) return new Map(c.list(x=>[x.number(),x.name()]));}}}};
const [page,cluster]=[await prog("page"),await prog("cluster")];
const v=await visit(page,cluster);
for(const [n,p] of [["page",page],["cluster",cluster]]){ const m=parse(p.bytes), nm=names(p.bytes), imp=importedFunctions(m); const hot=new Set(v[n]);
 writeFileSync(`/tmp/${n}-names.json`,JSON.stringify(m.functions.map((f,i)=>({name:nm.get(i+imp),size:f.body.length,hot:hot.has(i)}))));
 const s=split(m,i=>hot.has(i)); 
 // names of first: recompute the order
 console.log(n, hot.size, m.functions.length, s.first.length);
}
