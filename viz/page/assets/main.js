// The page that needs no server: everything is in it.

import {App} from "./app.js";
import {byId} from "./dom.js";

new App(JSON.parse(byId("start").textContent));
