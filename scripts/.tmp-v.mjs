import {readFileSync} from "node:fs"; import {glueFunction} from "./glue.mjs"; 
const d="/work/main/target/wasm-bindgen/release/";
const src=readFileSync(new URL("./profile/visit.mjs",import.meta.url),"utf8").replace('from "../wasm','from "./wasm').replace('from "./surroundings','from "./profile/surroundings').replace("this.onerror?.(",'console.log("died",String(error).slice(0,200)), this.onerror?.(').replace("    constructor() {\n      const heard","    constructor() {\n      console.log('worker', clock.now);\n      const heard").replace("postMessage(data) {","postMessage(data) { const k=typeof data==='string'?data:[...(data.keys?.()??Object.keys(data))][0]; if(k!=='Drawn') console.log(clock.now,k);");
const {writeFileSync}=await import("node:fs"); writeFileSync(new URL("./.tmp-v2.mjs",import.meta.url),src);
const {visit}=await import("./.tmp-v2.mjs");
const prog=async(n)=>({glue:await glueFunction(d+n+".js"),bytes:readFileSync("/tmp/"+n+"-named.wasm")});
const v=await visit(await prog("page"),await prog("cluster")); console.log(v.cluster.length,v.page.length);
