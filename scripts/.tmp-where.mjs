import {readFileSync} from "node:fs"; import {parse,importedFunctions} from "./wasm/module.mjs"; import {split} from "./wasm/split.mjs"; import {byLikeness} from "./wasm/order.mjs"; import {calleesOf} from "./wasm/instructions.mjs";
const [n,...idx]=process.argv.slice(2); const names=JSON.parse(readFileSync(`/tmp/${n}-names.json`)); const bytes=readFileSync(`/tmp/${n}-named.wasm`); const m=parse(bytes); const imp=importedFunctions(m);
let firstOrder; const r=split(m,i=>names[i].hot,(fs,bodyOf)=>{const o=byLikeness(fs.map(bodyOf)).map(p=>fs[p]); firstOrder??=o; return o});
const f=parse(r.first), fi=importedFunctions(f);
for(const i of idx){const k=i-fi; if(k<firstOrder.length){const w=firstOrder[k]-imp; console.log(i,names[w].name); console.log("   late callees:",calleesOf(m.functions[w].body).filter(c=>c>=imp&&!names[c-imp].hot).map(c=>names[c-imp].name).slice(0,12).join("\n                 "))} else console.log(i,"stub")}
import {Reader} from "./wasm/binary.mjs";
let orders=[]; split(m,i=>names[i].hot,(fs,bodyOf)=>{const o=byLikeness(fs.map(bodyOf)).map(p=>fs[p]); orders.push(o); return o});
const late=parse(r.late), li=importedFunctions(late); const at=new Map(); for(const {offset,functions} of late.elements) functions.forEach((fn,k)=>at.set(offset+k,fn));
for(const i of idx){const k=i-fi; if(k>=firstOrder.length){ const b=f.functions[k].body; const rd=new Reader(b,b.length-1); 
 // i32.const place call_indirect type 0 end : search backwards
 let place; for(let p=1;p<b.length;p++) if(b[p]===0x41){const q=new Reader(b,p+1); const v=q.number(); if(b[q.at]===0x11) place=v;} const fn=at.get(place); console.log(i,"stub of",names[orders[1][fn-li]-imp]?.name);}}
