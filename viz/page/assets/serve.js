// The page as it is served: what it starts with comes from the server.

import {App} from "./app.js";
import {Training} from "./training.js";
import {Sweep} from "./sweep.js";

const start = await (await fetch("/api/start")).json();
const app = new App(start), training = new Training(app, start.training);
if (start.sweep) new Sweep(app, training);
