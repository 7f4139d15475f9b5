import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  // The port is fixed: a second server fails with a message instead of moving to a port that nobody looks at.
  server: { host: "127.0.0.1", port: 3000, strictPort: true },
});
