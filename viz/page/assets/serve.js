// The page as it is served: what it starts with comes from the server.

import {App} from "./app.js";
import {Training} from "./training.js";

const start = await (await fetch("/api/start")).json();
new Training(new App(start), start.training);
