// The page as it is served: what it starts with comes from the server.

import {App} from "./app.js";

new App(await (await fetch("/api/start")).json());
