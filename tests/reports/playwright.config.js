import { defineConfig } from '@playwright/test';
export default defineConfig({
    testDir: './e2e',
    testMatch: process.env.SUITE,
    retries: 1,
    timeout: 5000,
    use: { launchOptions: { executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] } },
    reporter: [['json', { outputFile: process.env.OUT }]],
});
